"""Operations on sentences that several packages share: repair, normal form, word counts and word-level edit rates."""

import math
import re

from rapidfuzz.distance import Levenshtein

SURROGATES = re.compile("([\ud800-\udbff])([\udc00-\udfff])|[\ud800-\udfff\0]")


# Of scripts without spaces between words: how many characters count as one.
CHARACTERS = {"zh": 2, "ja": 2, "th": 4, "lo": 4, "km": 4, "my": 4, "dz": 4}
ASCII_WORD = re.compile(r"[!-~]+")
# Characters of those scripts, by how many count as a word: Chinese and Japanese; Thai, Lao, Tibetan, Burmese, Khmer.
SPACELESS = {
    2: re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
    4: re.compile("[\u0e00-\u0eff\u0f40-\u0fbc\u1000-\u109f\u1780-\u17d3]"),
}
ONE_SPACELESS = re.compile("|".join(pattern.pattern for pattern in SPACELESS.values()))


def words(text: str) -> list[str]:
    """What stands between spaces; of scripts without spaces between words, each character."""
    return text.split() if text.isascii() else ONE_SPACELESS.sub(r" \g<0> ", text).split()


def length_in_words(text: str) -> int:
    """Words of a text in any language: as `word_count` has it, by the scripts that occur.

    Punctuation beside a script without spaces counts nothing.
    """
    if not ONE_SPACELESS.search(text):
        return len(text.split())
    count = 0
    for characters, pattern in SPACELESS.items():
        text, found = pattern.subn(" ", text)
        count += math.ceil(found / characters)
    return count + sum(any(map(str.isalnum, word)) for word in text.split())


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

    S, D and I are substitutions, deletions and insertions that turn `first` into `second`, H the words kept; words as
    `words` has them. Morris et al. 2004, "From WER and RIL to MER and WIL", section 2.
    """
    ours, others = words(first), words(second)
    edits = Levenshtein.editops(ours, others)
    touched = sum(edit.tag != "insert" for edit in edits)
    total = len(edits) + len(ours) - touched
    return len(edits) / total if total else 0.0
