"""Paragraph → sentences; and what tells a whole sentence from a fragment."""

import re
from collections.abc import Iterator, Sequence

import sentencex

from components.config.corpus import Corpus
from components.corpus.language import language_probabilities, language_probability
from components.corpus.marks import GAP

OPENING = "\"'“‘«(["
CLOSING = "\"'”’»)]"
ENDS = tuple(".!?。！？")
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
MIN_LETTERS = 0.6  # share of letters among a sentence's characters, spaces aside
# Full of foreign names, an English sentence is easily told to be of another language; rarely as surely as this.
MIN_LANGUAGE = 0.1  # probability of the wanted language


def split(paragraph: str, language: str) -> Iterator[str]:
    """Sentences of a paragraph; what was cut within a sentence is joined again, what was left joined is cut."""
    whole = ""
    for piece in map(str.strip, sentencex.segment(language, paragraph)):
        if whole and not _breaks(whole, piece):
            whole = f"{whole}{'' if whole.endswith('.') and re.match(r'[A-Z][.]', piece) else ' '}{piece}"
            continue
        yield from _cut(whole)
        whole = piece
    yield from _cut(whole)


def _breaks(before: str, after: str) -> bool:
    """Whether a sentence ends between two pieces."""
    tail = before[-TAIL:]
    if ABBREVIATION.search(tail) or ENUMERATOR.search(tail) or (INITIAL.search(tail) and re.match(r"[A-Z]\.", after)):
        return False
    first = after.lstrip(OPENING + GAP)[:1]
    return not first.islower() and first not in "-–,;:)"


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
    if not settings.min_words <= len(sentence.split()) <= settings.max_words:
        return "length"
    first = sentence.lstrip(OPENING)[:1]
    whole = first.isalnum() and not first.islower() and sentence.rstrip(CLOSING).endswith(ENDS)
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
    return sum(map(str.isalpha, sentence)) >= needed
