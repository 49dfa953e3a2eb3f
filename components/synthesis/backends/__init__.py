"""Where a chat prompt is answered: a local model, a server of the OpenAI chat API, or an earlier run's record."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

Messages = tuple[tuple[str, str], ...]  # (role of the chat, content)


class Request(NamedTuple):
    """One chat prompt to be answered.

    Attributes:
        key: names the request; its answer bears the same.
        messages: (role, content) in order, the last by the user; a last one by the assistant is the answer's beginning,
            which the model goes on from.
        seed: of sampling.
    """

    key: str
    messages: Messages
    seed: int

    @property
    def opening(self) -> str:
        """The answer's beginning, where it is given."""
        role, content = self.messages[-1]
        return content if role == "assistant" else ""

    @property
    def question(self) -> Messages:
        """The messages without the answer's beginning."""
        return self.messages[:-1] if self.opening else self.messages


class Answer(NamedTuple):
    """What a model said to one request; `text` includes the beginning that the request gave, and may be empty.

    Attributes:
        key: that of the request.
        text: as it came.
        prompt_tokens: of the prompt, as the backend counts them.
        completion_tokens: of the answer.
    """

    key: str
    text: str
    prompt_tokens: int
    completion_tokens: int


class Backend(Protocol):
    """Answers requests in any order, taking no more of them in advance than it works on at a time.

    Closing the iterator (as leaving the loop over it does) ends the work; an answer not yet given is lost.
    """

    name: str
    model: str

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """One answer to each request, as soon as it is known; ended requests are looked at again after each answer.

        Raises:
            BackendError: the backend can answer no more; the text says what to do.
        """
        ...
