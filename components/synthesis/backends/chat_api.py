"""What the replies and errors of an OpenAI chat API mean."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from components.synthesis.backends import Answer

CHARACTERS_PER_TOKEN = 4  # of English, where a server counts none
CENSORED = {"content_filter", "content_policy_violation"}  # codes of OpenAI's and Azure's filters
OPTIONAL = ("response_format", "max_tokens", "temperature", "top_p", "seed")  # a server may refuse them and still serve


class BrokenReply(Exception):
    """A reply of status 200 that is no chat completion."""


def read_answer(key: str, content: bytes, messages: list[dict[str, str]]) -> Answer:
    """The answer in a reply's body; its text is empty where the server gives none: no choices, a refusal, a filter.

    Raises:
        BrokenReply: the body is no JSON, or holds no list of choices.
    """
    try:
        reply = json.loads(content)
    except ValueError:
        raise BrokenReply(f"a reply that is no JSON ({len(content)} bytes)") from None
    choices = _get(reply, "choices")
    if not isinstance(choices, list):
        raise BrokenReply(f"a reply without choices: {content[:200].decode(errors='replace')}")
    choice = choices[0] if choices else None
    message = _get(choice, "message")
    withheld = _get(message, "refusal") or _get(choice, "finish_reason") in CENSORED
    text = _get(message, "content")
    if withheld or not isinstance(text, str):
        text = ""
    usage = _get(reply, "usage")
    prompt, completion = _get(usage, "prompt_tokens"), _get(usage, "completion_tokens")
    return Answer(
        key,
        text,
        prompt if isinstance(prompt, int) else estimated_tokens(*(message["content"] for message in messages)),
        completion if isinstance(completion, int) else estimated_tokens(text),
    )


def estimated_tokens(*texts: str) -> int:
    """Four characters to a token, each text rounded up."""
    return sum(-(-len(text) // CHARACTERS_PER_TOKEN) for text in texts)


def is_censored(error: openai.APIStatusError) -> bool:
    """Whether a filter of the server's stopped the prompt or the answer."""
    return _get(error.body, "code") in CENSORED


def is_spent(error: openai.APIStatusError) -> bool:
    """Whether the account has no money left, which the API reports by the status of a rate limit."""
    return "insufficient_quota" in (_get(error.body, "code"), _get(error.body, "type"))


def refused_parameter(error: openai.APIStatusError, sent: Mapping[str, Any]) -> str | None:
    """The optional parameter of `sent` that the server refuses: the one it names, else structured output."""
    if error.status_code not in (400, 422):
        return None
    named = _get(error.body, "param")
    if named in OPTIONAL:
        return named if named in sent else None
    return "response_format" if "response_format" in sent else None


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
