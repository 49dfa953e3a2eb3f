"""Any server of the OpenAI chat API, through the openai library; what fails is asked again here and nowhere else."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import openai

from components.config.synthesis import OpenAi, Sampling
from components.errors import BackendError
from components.synthesis.backends import REFUSED, Answer, Request
from components.synthesis.backends.chat_api import (
    REFUSALS,
    BrokenReply,
    estimated_tokens,
    is_spent,
    message_of,
    read_answer,
    refused_by,
    refused_parameter,
    retry_after,
)
from components.synthesis.backends.in_flight import in_flight

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds; the bound of a pause doubles from the one to the other
STAGGER = 0.005  # seconds between the first requests of a run: answers that come in one burst wait for each other
PATIENCE = 3600.0  # seconds; a server that asks to wait longer is out for the night
PROBE = [{"role": "user", "content": "Name a colour in one sentence."}]  # what no filter refuses
PASSING = (408, 409, 425, 429)  # and all from 500: what another try may make good


class _Failure(NamedTuple):
    """A try that another may make good; `wait`: seconds asked for; `limited`: by the server's rate."""

    what: str
    wait: float | None = None
    limited: bool = False


class OpenAiBackend:
    """Answers of a chat server, `concurrency` requests in flight on connections that are kept.

    A server that fails, hangs, breaks off or sends no JSON is asked again after a pause drawn from [0, bound], seeded
    by the request's seed, the bound doubling (full jitter); a Retry-After, or a 429, halts all requests. What the
    server withholds (a refusal, a content filter, no choices) is an answer whose text is empty. So is a request that it
    refuses (status 400 and the like) while it serves others: where none was served meanwhile, a harmless question with
    the same parameters tells whether the sentence is refused, structured output, or everything. The last message of a
    request is not sent if it is the assistant's, for chat servers do not go on from it: the answer is whole by itself.

    Tokens are those of the server's `usage`; where it gives none, an estimate of four characters to a token.

    Args:
        settings: the server, the model, and how both are treated.
        sampling: of every request.
        schema: JSON schema of an answer, for servers with structured output; given up for the rest of the run, with a
            line in the log, when a server serves without it alone, as is any parameter it refuses by name.
        first_pause: seconds, the bound of the first pause.

    Raises:
        BackendError: there is no key in the environment, and the server is not on this machine.
    """

    name = "openai"

    def __init__(
        self,
        settings: OpenAi,
        sampling: Sampling,
        schema: dict[str, Any] | None = None,
        *,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.model = settings.model
        self._settings = settings
        self._first_pause = first_pause
        self._local = urlsplit(settings.base_url).hostname in ("127.0.0.1", "localhost", "::1")
        self._key = self._key_of_environment()
        self._parameters: dict[str, Any] = sampling.model_dump() | settings.extra
        if schema is not None:
            described = {"name": "answer", "strict": True, "schema": schema}
            self._parameters["response_format"] = {"type": "json_schema", "json_schema": described}
        self._refused: set[str] = set()  # parameters, by the server
        self._resume_at = 0.0  # of time.monotonic; nothing is sent before it
        self._answered = 0

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """One answer to each request, as soon as it is known; see `Backend`.

        Raises:
            BackendError: the server refuses the key, the model or a request, or failed one request too often.
        """
        return in_flight(self._opened, requests, self._settings.concurrency)

    def _key_of_environment(self) -> str:
        variable = self._settings.key_variable
        key = os.environ.get(variable, "").strip()
        if not key and not self._local:
            raise BackendError(
                f"{self._settings.base_url} wants a key: put it in the environment variable {variable} "
                "(any word, if the server asks for none)"
            )
        if not (key.isascii() and key.isprintable()):  # the library would show it whole in its complaint
            raise BackendError(f"the key in {variable} holds characters that no key has; set it anew")
        return key

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Callable[[Request], Awaitable[Answer]]]:
        # aiohttp's connections, for httpx's own cost more than all else.
        many = httpx.Limits(max_connections=self._settings.concurrency)
        http = openai.DefaultAioHttpClient(limits=many, timeout=None, trust_env=not self._local)
        opened = openai.AsyncOpenAI(
            base_url=self._settings.base_url, api_key=self._key or "none", max_retries=0, http_client=http
        )
        begun, free = 0, 0.0  # requests, and when the next may begin
        probing = asyncio.Lock()

        async with opened as client:

            async def ask(request: Request) -> Answer:
                nonlocal begun, free
                begun += 1
                if begun <= self._settings.concurrency:
                    start = max(free, time.monotonic())
                    free = start + STAGGER
                    await asyncio.sleep(start - time.monotonic())
                return await self._answer(client, request, probing)

            yield ask

    async def _answer(self, client: openai.AsyncOpenAI, request: Request, probing: asyncio.Lock) -> Answer:
        given = request.question
        messages = [{"role": role, "content": content} for role, content in given]
        generator, failures = random.Random(request.seed), 0
        while True:
            while (left := self._resume_at - time.monotonic()) > 0:
                await asyncio.sleep(left)
            sent, answered = self._body(messages, request.seed), self._answered
            try:
                answer = read_answer(request.key, await self._post(client, sent), messages)
            except openai.APIStatusError as error:
                if parameter := refused_parameter(error, sent):
                    self._do_without(parameter, error)
                    continue
                if (code := refused_by(error)) is None:
                    failure = self._failure(error)
                else:
                    async with probing:
                        served = self._answered > answered or await self._serves(client, error)
                    if sent.keys() != self._body(messages, request.seed).keys():
                        continue  # it may have been a parameter, which is no longer sent
                    if served:
                        tokens = estimated_tokens(*(content for _, content in given))
                        return Answer(request.key, "", tokens, 0, f"{REFUSED}: {self._safe(code)[:80]}")
                    failure = self._failure(error) if served is False else _Failure("no answer to a harmless question")
            except openai.APIConnectionError as error:
                cause = error.__cause__ or error
                failure = _Failure(self._safe(str(cause) or type(cause).__name__))
            except BrokenReply as error:
                failure = _Failure(self._safe(str(error)))
            except TimeoutError:
                failure = _Failure(f"no answer within {self._settings.timeout:g} s")
            else:
                self._answered += 1
                return answer
            # One that was told to wait while others got through has not failed: the server is at its rate.
            failures += not (failure.limited and self._answered > answered)
            if failures > self._settings.retries:
                raise BackendError(
                    f"{self._settings.base_url} failed one request {failures} times, at last with {failure.what}; "
                    "see to the server, or raise synthesis.openai.retries or timeout, and run again: what is answered "
                    "is kept"
                )
            await self._pause(failure, generator.uniform(0, self._bound(failures)))

    async def _post(self, client: openai.AsyncOpenAI, sent: dict[str, Any]) -> bytes:
        async with asyncio.timeout(self._settings.timeout):
            # Not chat.completions.create: its checks and models cost more than the request itself.
            response = await client.post("/chat/completions", body=sent, cast_to=httpx.Response)
        return response.content

    async def _serves(self, client: openai.AsyncOpenAI, refusal: openai.APIStatusError) -> bool | None:
        """Whether the server answers a harmless question; None if it does neither that nor refuse it.

        Structured output is given up where the server answers without it alone.
        """
        asked = self._body(PROBE, 0)
        for parameter in ("", *({"response_format"} & asked.keys())):
            try:
                await self._post(client, {name: value for name, value in asked.items() if name != parameter})
            except openai.APIStatusError as error:
                if error.status_code not in REFUSALS:
                    return None
            except (openai.APIConnectionError, TimeoutError):
                return None
            else:
                if parameter:
                    self._do_without(parameter, refusal)
                self._answered += 1
                return True
        return False

    def _body(self, messages: list[dict[str, str]], seed: int) -> dict[str, Any]:
        body = self._parameters | {"seed": seed % 2**31}  # what every server's seed can hold
        if "max_tokens" in self._refused:  # OpenAI's newer models call it so
            body["max_completion_tokens"] = body["max_tokens"]
        kept = {name: value for name, value in body.items() if name not in self._refused}
        return {"model": self.model, "messages": messages, **kept}

    def _do_without(self, parameter: str, error: openai.APIStatusError) -> None:
        if parameter not in self._refused:
            self._refused.add(parameter)
            said = self._safe(message_of(error))
            log.warning("%s refuses %s, which is no longer sent: %s", self._settings.base_url, parameter, said)

    def _failure(self, error: openai.APIStatusError) -> _Failure:
        """What went wrong, if another try may make it good; else raises BackendError."""
        server, status, said = self._settings.base_url, error.status_code, self._safe(message_of(error))
        if status in (401, 403):  # its words may hold the key
            variable = self._settings.key_variable
            fault = f"refuses the key in {variable}" if self._key else f"wants a key, and {variable} holds none"
            raise BackendError(f"{server} {fault} (status {status}); put a valid one in that environment variable")
        if status == 404:
            raise BackendError(
                f"{server} has no model {self.model!r}, or is no chat API (status 404: {said}); correct "
                "synthesis.openai.model, or base_url, which mostly ends in /v1"
            )
        if is_spent(error):
            raise BackendError(f"the account at {server} has nothing left to spend (status {status}); top it up")
        if status not in PASSING and status < 500:
            raise BackendError(
                f"{server} refuses a request (status {status}: {said}); correct section synthesis.openai"
            )
        wait = retry_after(error.response.headers)
        if wait is not None and wait > PATIENCE:
            raise BackendError(
                f"{server} asks to wait {wait / 3600:.1f} hours (status {status}: {said}); run again then: what is "
                "answered is kept"
            )
        return _Failure(f"status {status}: {said}", wait, limited=status == 429)

    def _bound(self, failures: int) -> float:
        return min(LONGEST_PAUSE, self._first_pause * 2.0 ** min(max(0, failures - 1), 32))

    async def _pause(self, failure: _Failure, jitter: float) -> None:
        wait = failure.wait or 0.0
        log.info("asking again in %.1f s: %s", wait + jitter, failure.what)
        if failure.wait is not None or failure.limited:
            self._resume_at = max(self._resume_at, time.monotonic() + (jitter if failure.wait is None else wait))
        await asyncio.sleep(wait + jitter)

    def _safe(self, text: str) -> str:
        """In one line, and without the key."""
        return " ".join((text.replace(self._key, "[key]") if self._key else text).split())
