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

FIELD = "sentence"
# What a server with structured output is held to; the answer of any other is its first line.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {FIELD: {"type": "string"}},
    "required": [FIELD],
    "additionalProperties": False,
}
PAIRS = {'"': '"', "“": "”", "'": "'", "‘": "’"}


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
    """The first sentence of an answer, or of the text in its JSON object; `opening` and marks of quotation away.

    Empty where there is none.
    """
    answer = answer.strip()
    if answer.startswith("{"):
        try:
            found, _ = json.JSONDecoder(strict=False).raw_decode(answer)
        except json.JSONDecodeError:
            return ""
        text = found.get(FIELD)
        answer = text if isinstance(text, str) else ""
    text = " ".join(next(iter(answer.strip().splitlines()), "").split())
    if opening and text.startswith(opening):
        text = text.removeprefix(opening).lstrip()
        text = text[:1].upper() + text[1:]
    quoted = len(text) > 1 and PAIRS.get(text[0]) == text[-1] and not set(text[1:-1]) & {text[0], text[-1]}
    return next(split(text[1:-1].strip() if quoted else text, language), "")


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
