"""Paragraph → sentences; and what tells a whole sentence from a fragment."""

import re
from collections.abc import Iterator, Sequence

import sentencex

from components.config.corpus import Corpus
from components.corpus.language import language_probabilities, language_probability
from components.corpus.marks import GAP

OPENING = "\"'“‘«(["
ENDING = re.compile(r"[.!?。！？][\"'”’»)\]]*$")
# Places that the splitter leaves joined: after a sentence in brackets of its own, and after words that it takes for
# abbreviations in the midst of a sentence.
ASIDE = re.compile(r"^(\([^()]*[.!?]\)) (?=[\"“(]?[A-Z])")
NO_ABBREVIATION = re.compile(r"(\b(?:etc|art|May)\.|\d [mg]\.) (?=[\"“(]?[A-Z])")
# What never ends a sentence. A lone capital mostly does (vitamin C, 15 °C, the U.S.): the splitter knows initials.
ABBREVIATION = re.compile(
    r"\b(?:pp?|[Vv]ols?|Nos?|eds|cf|viz|vs|[Ff]igs|e\.g|i\.e|Drs?|Mrs?|Ms|Messrs|St|Prof|Rev|Brig|Gen|Col|Lt|Capt|Sgt|Gov|Sen|Rep"
    r"|Hon|Mt|Ft|approx|ca|fl|lit)\.$"
)
ENUMERATOR = re.compile(r"(?:^|[;:,] (?:and |or )?|\bas )\d\.$")  # of a list in the line: "; and 3."
RESIDUE = re.compile(r"[|{}\[\]<>=\\^~_*#]|https?:|www\.|''|thumb|\dpx|&\w+;|Category:|File:|Image:|ISBN|\.\s?\.|…")
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
    if (
        ABBREVIATION.search(before)
        or ENUMERATOR.search(before)
        or (re.search(r"\b[A-Z]\.$", before) and re.match(r"[A-Z]\.", after))
    ):
        return False
    first = after.lstrip(OPENING + GAP)[:1]
    return not first.islower() and first not in "-–,;:)"


def _cut(piece: str) -> list[str]:
    return NO_ABBREVIATION.sub(r"\1\n", ASIDE.sub(r"\1\n", piece)).split("\n") if piece else []


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
    if not first.isalnum() or first.islower() or not ENDING.search(sentence) or ABBREVIATION.search(sentence):
        return "fragment"
    if RESIDUE.search(sentence):
        return "residue"
    if not _balanced(sentence):
        return "unbalanced"
    characters = sentence.replace(" ", "")
    if sum(map(str.isalpha, characters)) < MIN_LETTERS * len(characters):
        return "symbols"
    return None


def _balanced(sentence: str) -> bool:
    pairs = all(sentence.count(left) == sentence.count(right) for left, right in ("()", "“”", "«»"))
    return pairs and sentence.count('"') % 2 == 0
