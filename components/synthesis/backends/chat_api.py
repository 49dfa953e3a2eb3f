"""What the replies and errors of an OpenAI chat API mean."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from components.synthesis.backends import LENGTH, Answer

CHARACTERS_PER_TOKEN = 4  # of English, where a server counts none
FILTER = "content_filter"  # the API's `finish_reason` of an answer that a filter has cut or withheld
# Words by which providers say that a filter stopped a prompt or an answer.
CENSORED = re.compile(r"filter|moderat|policy|safety|unsafe|inappropriate|data.?inspection|prohibited", re.IGNORECASE)
REFUSALS = (400, 403, 413, 422, 451)  # statuses by which a server may refuse one request and serve others
SPENT = ("insufficient_quota", "billing_hard_limit_reached")
THOUGHTS = ("reasoning_content", "reasoning")  # fields in which servers hand over what a model thought
OPTIONAL = ("response_format", "max_tokens", "temperature", "top_p", "seed")  # a server may refuse them and still serve


class BrokenReply(Exception):
    """A reply of status 200 that is no chat completion."""


def read_answer(key: str, content: bytes, messages: list[dict[str, str]]) -> Answer:
    """The answer in a reply's body: that of the first choice that has a text.

    The text is empty where the server gives none: no choices, a refusal, a filter, null; `finish` then says why.

    Raises:
        BrokenReply: the body is no JSON, or holds no list of choices.
    """
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        raise BrokenReply(f"a reply that is no JSON ({len(content)} bytes)") from None
    choices = _get(reply, "choices")
    if not isinstance(choices, list):
        raise BrokenReply(f"a reply without choices: {content[:200].decode(errors='replace')}")
    told = [_told(choice) for choice in choices] or [("", "no choices")]
    text, finish = next((each for each in told if each[0].strip()), told[0])
    usage = _get(reply, "usage")
    prompt, completion = _get(usage, "prompt_tokens"), _get(usage, "completion_tokens")
    return Answer(
        key,
        text,
        prompt if _counts(prompt) else estimated_tokens(*(message["content"] for message in messages)),
        completion if _counts(completion) else estimated_tokens(text),
        finish,
    )


def _told(choice: Any) -> tuple[str, str]:
    """Text and `finish` of a choice."""
    message, finish = _get(choice, "message"), _get(choice, "finish_reason")
    if refusal := _get(message, "refusal"):
        return "", f"refusal: {' '.join(_text(refusal).split())[:80]}"
    if isinstance(finish, str) and CENSORED.search(finish):
        return "", FILTER
    text = _text(_get(message, "content"))
    if not text.strip() and finish != LENGTH:
        # Where thinking is off, a server's parser may take the answer itself for thoughts (vLLM does).
        thoughts = (_text(_get(message, name)).strip() for name in THOUGHTS)
        text = next((thought for thought in thoughts if thought.startswith("{")), "")
    if finish == LENGTH:
        return text, LENGTH
    return text, "" if text.strip() else f"no content, finish_reason {finish}"


def _text(content: Any) -> str:
    """A message's content as one text: a string, or a list of parts, of which thoughts and images are left out."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(map(_text, content))
    if isinstance(content, dict):
        kind = content.get("type")
        if kind in (None, "text", "output_text"):
            text = content.get("text")
            return _text(text) if text is not None else json.dumps(content) if kind is None else ""
    return ""


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def estimated_tokens(*texts: str) -> int:
    """Four characters to a token, each text rounded up."""
    return sum(-(-len(text) // CHARACTERS_PER_TOKEN) for text in texts)


def refused_by(error: openai.APIStatusError) -> str | None:
    """The code of an error by which a server may refuse one request and serve others; None for any other error.

    What the code says is not relied on: every provider's filter has a code of its own.
    """
    named = [str(value) for name in ("code", "type") if (value := _get(error.body, name))]
    status = error.status_code
    of_a_filter = any(map(CENSORED.search, (*named, message_of(error))))
    if status not in REFUSALS or is_spent(error) or (status == 403 and not of_a_filter):  # 403 is mostly the key's
        return None
    return next(iter(named), f"status {status}")


def is_spent(error: openai.APIStatusError) -> bool:
    """Whether the account has no money left, which the API reports by the status of a rate limit."""
    return any(_get(error.body, name) in SPENT for name in ("code", "type"))


def refused_parameter(error: openai.APIStatusError, sent: Mapping[str, Any]) -> str | None:
    """The optional parameter of `sent` that the server refuses by name; None if it names none."""
    named = _get(error.body, "param")
    return named if error.status_code in (400, 422) and named in OPTIONAL and named in sent else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, section 10.2.3: seconds or a date); None if it asks nothing."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    try:  # the server's clock, where it tells it
        now = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        now = datetime.now(UTC)
    return max(0.0, (_aware(until) - _aware(now)).total_seconds())


def message_of(error: openai.APIStatusError) -> str:
    """The server's own words, in one line of at most 200 characters."""
    said = _get(error.body, "message") or _get(error.body, "detail") or error.response.text
    return " ".join(str(said).split())[:200]


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
