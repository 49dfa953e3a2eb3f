"""Paragraph → sentences; and what tells a whole sentence from a fragment."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import sentencex

from components.config.corpus import Corpus
from components.corpus.language import language_probabilities, language_probability
from components.corpus.marks import GAP
from components.text import word_count

OPENING = "\"'“‘«(["
CLOSING = "\"'”’»)]"
ENDS = tuple(".!?。！？।॥۔؟։።။។།")
ENDLESS = {"th", "lo"}  # a space ends a sentence or a clause, and no sign does
# Where the splitter leaves sentences joined in scripts of their own.
OWN_ENDS = {
    **{language: re.compile(r"\s+") for language in ENDLESS},
    **{language: re.compile(r"(?<=[។၊။།])\s*") for language in ("km", "my", "dz")},
}
# Places that the splitter leaves joined: after a sentence in brackets of its own, and after words that it takes for
# abbreviations in the midst of a sentence.
ASIDE = re.compile(r"(\([^()]*[.!?]\)) (?=[\"“(]?[A-Z])")
NO_ABBREVIATION = re.compile(r"\. (?=[\"“(]?[A-Z])(?:(?<=\b(?:etc|art|May)\. )|(?<=\d [mg]\. ))")
# What never ends a sentence. A lone capital mostly does (vitamin C, 15 °C, the U.S.): the splitter knows initials.
ABBREVIATION = re.compile(
    r"\b(?:pp?|[Vv]ols?|Nos?|eds|cf|viz|vs|[Ff]igs|e\.g|i\.e|Drs?|Mrs?|Ms|Messrs|St|Prof|Rev|Brig|Gen|Col|Lt|Capt|Sgt|Gov|Sen|Rep"
    r"|Hon|Mt|Ft|approx|ca|fl|lit)\.$"
)
ENUMERATOR = re.compile(r"(?:^|[;:,] (?:and |or )?|\bas )\d\.$")  # of a list in the line: "; and 3."
INITIAL = re.compile(r"\b[A-Z]\.$")
TAIL = 16  # characters, more than any of these three takes
SYMBOLS = re.compile(r"[|{}\[\]<>=\\^~_*#…]")
# Each branch opens with a letter of its own, so that a search looks at nothing else.
RESIDUE = re.compile(r"https?:|www\.|''|thumb|p(?<=\dp)x|&\w+;|Category:|File:|Image:|ISBN|\.\s?\.")
NO_LETTERS = bytes(code for code in range(256) if not (code < 128 and chr(code).isalpha()))
MAX_WORD = 50  # characters, on average, of a sentence's words
MIN_LETTERS = 0.6  # share of letters among a sentence's characters, spaces aside
# Full of foreign names, an English sentence is easily told to be of another language; rarely as surely as this.
MIN_LANGUAGE = 0.1  # probability of the wanted language


def split(paragraph: str, language: str) -> Iterator[str]:
    """Sentences of a paragraph; what was cut within a sentence is joined again, what was left joined is cut."""
    if own := OWN_ENDS.get(language):
        yield from filter(None, own.split(paragraph))
        return
    whole: list[str] = []  # joined at the end, because a page may have very many pieces
    tail = ""
    for piece in map(str.strip, sentencex.segment(language, paragraph)):
        if tail and not _breaks(tail, piece):
            piece = piece if tail.endswith(".") and re.match(r"[A-Z][.]", piece) else f" {piece}"
            whole.append(piece)
            tail = (tail + piece)[-TAIL:]
            continue
        yield from _cut("".join(whole))
        whole, tail = [piece], piece[-TAIL:]
    yield from _cut("".join(whole))


def _breaks(tail: str, after: str) -> bool:
    """Whether a sentence ends between a piece, of which we see the last `TAIL` characters, and the next one."""
    if ABBREVIATION.search(tail) or ENUMERATOR.search(tail) or (INITIAL.search(tail) and re.match(r"[A-Z]\.", after)):
        return False
    first = after.lstrip(OPENING + GAP)[:1]
    return not _is_lower(first) and first not in "-–,;:)"


def _is_lower(character: str) -> bool:
    """Whether a sentence would have the letter as a capital; Georgian has lower case alone."""
    return character.islower() and character.title() != character


def _cut(piece: str) -> list[str]:
    if piece.startswith("("):
        aside = ASIDE.match(piece)
        piece = f"{aside[1]}\n{piece[aside.end() :]}" if aside else piece
    return NO_ABBREVIATION.sub(".\n", piece).split("\n") if piece else []


def fault(sentence: str, settings: Corpus) -> str | None:
    """Why `sentence` is not kept, in one word, or None for a whole sentence of the language."""
    found = _fault_of_form(sentence, settings)
    if found is None and language_probability(sentence, settings.language) < MIN_LANGUAGE:
        return "language"
    return found


def faults(sentences: Sequence[str], settings: Corpus) -> list[str | None]:
    """`fault` of each of `sentences`, sooner."""
    found = [_fault_of_form(sentence, settings) for sentence in sentences]
    whole = [place for place, reason in enumerate(found) if reason is None]
    probabilities = language_probabilities([sentences[place] for place in whole], settings.language)
    for place, probability in zip(whole, probabilities, strict=True):
        if probability < MIN_LANGUAGE:
            found[place] = "language"
    return found


def _fault_of_form(sentence: str, settings: Corpus) -> str | None:
    if GAP in sentence:
        return "gap"
    if not settings.min_words <= word_count(sentence, settings.language) <= settings.max_words:
        return "length"
    if len(sentence) > MAX_WORD * settings.max_words:
        return "length"
    first = sentence.lstrip(OPENING)[:1]
    ended = settings.language in ENDLESS or sentence.rstrip(CLOSING).endswith(ENDS)
    whole = first.isalnum() and not _is_lower(first) and ended
    if not whole or ABBREVIATION.search(sentence[-TAIL:]):
        return "fragment"
    if SYMBOLS.search(sentence) or RESIDUE.search(sentence):
        return "residue"
    if not _balanced(sentence):
        return "unbalanced"
    return None if _lettered(sentence) else "symbols"


def _balanced(sentence: str) -> bool:
    count = sentence.count
    pairs = count("(") == count(")") and count("“") == count("”") and count("«") == count("»")
    return pairs and count('"') % 2 == 0


def _lettered(sentence: str) -> bool:
    needed = MIN_LETTERS * (len(sentence) - sentence.count(" "))
    if len(sentence.encode(errors="replace").translate(None, NO_LETTERS)) >= needed:  # by those of ASCII alone, sooner
        return True
    return sum(unicodedata.category(character)[0] in "LM" for character in sentence) >= needed  # marks: vowels in India
