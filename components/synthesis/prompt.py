"""A prompt is a file of `prompts/`: under a heading for each role, in the order of asking, what the model is told.

A heading may go on with how every answer opens, `# negative: No,`: what a small model is given to begin with has it
keep to the pattern more often than what it is told. The opening is no part of the text.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from components.corpus.sentences import split
from components.errors import ConfigError
from components.synthesis.backends import Messages
from components.synthesis.exemplars import Exemplar
from components.synthesis.tuples import ROLES
from components.text import well_formed

FIELD = "sentence"
# What a server with structured output is held to; the answer of any other is its first line.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {FIELD: {"type": "string"}},
    "required": [FIELD],
    "additionalProperties": False,
}
PAIRS = {'"': '"', "“": "”", "'": "'", "‘": "’", "`": "`", "**": "**"}
# How models that reason set off their thoughts: Qwen and DeepSeek, Magistral, Kimi, gpt-oss.
_TAGS = r"(?:seed:)?(?:think(?:ing)?|thoughts?|reasoning|analysis)"
THOUGHT = re.compile(rf"<{_TAGS}>|\[THINK\]|◁think▷|<\|channel\|>analysis", re.IGNORECASE)
THOUGHT_OVER = re.compile(rf"</{_TAGS}>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE)
WRAPPING = re.compile(r"</?(?:answer|response|output|final|sentence)>|<\|(?:im_end|end|return)\|>", re.IGNORECASE)
FENCE = re.compile(r"(```|~~~)[^\S\n]*(?:[\w+-]*[^\S\n]*\n|json\b)?(.*?)(?:\1|\Z)", re.DOTALL)
OBJECT = re.compile(rf"""["']?\{{\s*\\?["']{FIELD}\\?["']\s*:""")
LOOSE = re.compile(rf"""["']{FIELD}["']\s*:\s*(["'])(.*?)\1\s*,?\s*\}}""", re.DOTALL)  # JSON but for its marks


@dataclass(frozen=True)
class Prompt:
    """One question for each role: a small model that is asked for all texts at once says its first one again.

    `version` is a digest of the file: another word in it makes another prompt, whose answers are asked for anew.
    """

    version: str
    instructions: dict[str, str]
    openings: dict[str, str]

    def messages(self, role: str, sentence: str, exemplars: Sequence[Exemplar]) -> Messages:
        """The chat that asks for the text of `role` to `sentence`, after worked examples of the same role.

        It ends with the answer's opening, where the role has one.
        """
        opening = self.openings.get(role, "")
        worked = [
            turn
            for exemplar in exemplars
            for turn in (("user", exemplar.anchor), ("assistant", f"{opening} {exemplar.text}".lstrip()))
        ]
        begun = [("assistant", opening)] if opening else []
        return (("system", self.instructions[role]), *worked, ("user", sentence), *begun)


def read_answer(answer: str, language: str, opening: str = "") -> str:
    """The first sentence of an answer, or of the text in its JSON object; `opening` and quotation marks are removed.

    Thoughts before the answer, a Markdown fence around it, and words before its JSON object are passed over. Empty
    where there is no answer, as where `max_tokens` cut it off among the thoughts.
    """
    answer = well_formed(_text(_unfenced(_spoken(answer))))
    text = " ".join(next(iter(answer.strip().splitlines()), "").split())
    if opening and text.startswith(opening):
        text = text.removeprefix(opening).lstrip()
        text = text[:1].upper() + text[1:]
    return next(split(_unquoted(text), language), "")


def _spoken(answer: str) -> str:
    """What a model says after its thoughts; the tag that opens them may be missing, the server's template has it."""
    *_, answer = THOUGHT_OVER.split(answer)
    said = THOUGHT.split(answer, maxsplit=1)[0]  # what is left of thoughts has no end
    return WRAPPING.sub("", said).strip()


def thinks(answer: str) -> bool:
    """Whether an answer begins with thoughts."""
    return bool(THOUGHT.search(answer) or THOUGHT_OVER.search(answer))


def _unfenced(answer: str) -> str:
    fenced = FENCE.search(answer)
    return fenced[2].strip() if fenced and fenced[2].strip() else answer


def _text(answer: str) -> str:
    """The text in the answer's JSON object, which may stand in a list or be a JSON string itself; else the answer."""
    found = OBJECT.search(answer)
    if found is None and not answer.startswith(("{", "[{")):
        return answer
    written = answer[found.start() :] if found else answer
    decoder = json.JSONDecoder(strict=False)
    try:
        value, _ = decoder.raw_decode(written)
        if isinstance(value, str):
            value, _ = decoder.raw_decode(value.strip())
    except (json.JSONDecodeError, RecursionError):
        loose = LOOSE.search(written)
        return loose[2] if loose else ""
    if isinstance(value, list) and value:
        value = value[0]
    text = value.get(FIELD) if isinstance(value, dict) else None
    return text.strip() if isinstance(text, str) else ""


def _unquoted(text: str) -> str:
    """`text` without one pair of quotation marks around all of it."""
    for begin, end in PAIRS.items():
        inner = text[len(begin) : -len(end)]
        if text.startswith(begin) and text.endswith(end) and inner and begin not in inner and end not in inner:
            return inner.strip()
    return text


def load_prompt(pattern: str) -> Prompt:
    """The prompt of `pattern`, "nli" or "sts".

    Raises:
        ConfigError: the file has not an instruction for each of the pattern's roles, and for no other.
    """
    path = files(__package__) / "prompts" / f"{pattern}.md"
    return parse_prompt(path.read_text(encoding="utf-8"), pattern, str(path))


def parse_prompt(content: str, pattern: str, where: str) -> Prompt:
    """As `load_prompt`, of a file's content."""
    before, *parts = re.split(r"^# +([^:\n]+?) *(?:: *(.*?))? *$", content, flags=re.MULTILINE)
    instructions = {role: " ".join(text.split()) for role, text in zip(parts[::3], parts[2::3], strict=True)}
    openings = {role: opening for role, opening in zip(parts[::3], parts[1::3], strict=True) if opening}
    roles = ROLES[pattern]
    if before.strip() or set(instructions) != set(roles) or not all(instructions.values()):
        raise ConfigError(
            f"{where} must have a heading `# role` with an instruction below for each of {', '.join(roles)}"
        )
    return Prompt(hashlib.sha256(content.encode()).hexdigest()[:8], instructions, openings)
