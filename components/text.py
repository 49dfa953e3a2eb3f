"""Operations on sentences that several packages share: repair, normal form, word counts and word-level edit rates."""

import math
import re

from rapidfuzz.distance import Levenshtein

SURROGATES = re.compile("([\ud800-\udbff])([\udc00-\udfff])|[\ud800-\udfff\0]")


# Of scripts without spaces between words: how many characters count as one.
CHARACTERS = {"zh": 2, "ja": 2, "th": 4, "lo": 4, "km": 4, "my": 4, "dz": 4}
ASCII_WORD = re.compile(r"[!-~]+")


def word_count(text: str, language: str) -> int:
    """Words of `text`: what stands between spaces; in a script without spaces, so many characters each, rounded up."""
    characters = CHARACTERS.get(language)
    if characters is None:
        return len(text.split())
    others = sum(character > "\x7f" and not character.isspace() for character in text)
    return len(ASCII_WORD.findall(text)) + math.ceil(others / characters)


def well_formed(text: str) -> str:
    """`text` without what UTF-8 or a database cannot hold: the repair at every place where text enters.

    Two surrogates that form a pair become the character that they encode, as in `&#xD83D;&#xDE00;` or in JSON escapes;
    lone surrogates and NUL are dropped. Any other text comes back unchanged.
    """
    if "\0" not in text:
        try:
            text.encode()
            return text
        except UnicodeEncodeError:
            pass
    return SURROGATES.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    high, low = found.groups()
    return chr(0x10000 + ((ord(high) - 0xD800) << 10) + ord(low) - 0xDC00) if high else ""


def normal(text: str) -> str:
    """`text` case-folded, with single spaces: the form in which sentences are compared."""
    return " ".join(text.casefold().split())


def match_error_rate(first: str, second: str) -> float:
    """(S + D + I) / (S + D + I + H) of the words' alignment with the fewest edits; in [0, 1], 0 for equal texts.

    S, D and I are substitutions, deletions and insertions that turn `first` into `second`, H the words kept. Words are
    separated by white space. Morris et al. 2004, "From WER and RIL to MER and WIL", section 2.
    """
    words, others = first.split(), second.split()
    edits = Levenshtein.editops(words, others)
    touched = sum(edit.tag != "insert" for edit in edits)
    total = len(edits) + len(words) - touched
    return len(edits) / total if total else 0.0
