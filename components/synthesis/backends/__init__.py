"""Where a chat prompt is answered: a local model, a server of the OpenAI chat API, or an earlier run's record."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, Self

from components.text import well_formed

Messages = tuple[tuple[str, str], ...]  # (role of the chat, content)


class Guide(Protocol):
    """What an answer may become, asked while it is written; `text` is the answer so far, its beginning included."""

    def allows(self, text: str, ended: bool) -> bool:
        """Whether an answer may go on as `text`, or end with it; else another token is drawn."""
        ...

    def over(self, text: str) -> bool:
        """Whether the answer ends here, for nothing that may follow would be read, or make it good."""
        ...


class Request(NamedTuple):
    """One chat prompt to be answered.

    Attributes:
        key: names the request; its answer bears the same.
        messages: (role, content) in order, the last by the user; a last one by the assistant is the answer's beginning,
            which the model goes on from.
        seed: of sampling.
        guide: of the answer, for a backend that draws its tokens itself; others pass it over.
    """

    key: str
    messages: Messages
    seed: int
    guide: Guide | None = None

    @property
    def opening(self) -> str:
        """The answer's beginning, where it is given."""
        role, content = self.messages[-1]
        return content if role == "assistant" else ""

    @property
    def question(self) -> Messages:
        """The messages without the answer's beginning."""
        return self.messages[:-1] if self.opening else self.messages


LENGTH = "length"  # `Answer.finish` of an answer that reached max_tokens
REFUSED = "request refused"  # how `Answer.finish` begins where the server answered with an error to this prompt alone


class Answer(NamedTuple):
    """What a model said to one request; `text` includes the beginning that the request gave, and may be empty.

    Attributes:
        key: that of the request.
        text: as it came.
        prompt_tokens: of the prompt, as the backend counts them.
        completion_tokens: of the answer.
        finish: why the answer is cut or withheld: `LENGTH`, the server's word for a filter or a refusal, or `REFUSED`
            and the server's code; empty for an answer that came to its own end.
    """

    key: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    finish: str = ""

    @classmethod
    def recorded(cls, record: Any) -> Self | None:
        """The answer that a line of `answers/` holds; None if `record` is no answer."""
        fits = isinstance(record, dict) and all(isinstance(record.get(name), kind) for name, kind in FIELDS.items())
        if not fits:
            return None
        finish = record.get("finish", "")
        fields = {name: record[name] for name in FIELDS}
        return cls(**fields, finish=finish if isinstance(finish, str) else "").repaired()

    def repaired(self) -> Self:
        """The answer without what UTF-8 cannot hold, such as half of a surrogate pair."""
        return self._replace(text=well_formed(self.text), finish=well_formed(self.finish))


FIELDS = {"key": str, "text": str, "prompt_tokens": int, "completion_tokens": int}  # that every record has


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
