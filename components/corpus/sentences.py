"""Paragraph → sentences; and what tells a whole sentence from a fragment."""

import re
from collections.abc import Iterator
from functools import cache

import sentencex
from py3langid.langid import LanguageIdentifier

from components.config.corpus import Corpus
from components.corpus.wikitext import GAP

OPENING = "\"'“‘«(["
CLOSING = "\"'”’»)]"
ENDING = re.compile(r"[.!?。！？][\"'”’»)\]]*$")
ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|pp?|[Vv]ols?|[Nn]os?|eds?|cf|ca?|fl|[Ff]igs?|al|vs?|viz|e\.g|i\.e|Drs?|Mrs?|Ms|Messrs|Sts?|Prof|Rev|Gen|Col|Lt"
    r"|Capt|Cpt|Sgt|Maj|Gov|Sen|Rep|Hon|Mt|Ft|Jr|Sr|approx|trans|repr|ch|chap|sec|art|op|Ph|lit|b|d|r))\.$"
)
RESIDUE = re.compile(r"[|{}\[\]<>=\\^~_*#]|https?:|www\.|''|thumb|\dpx|&\w+;|Category:|File:|Image:|ISBN|\.\.\.|…")
MIN_LETTERS = 0.8  # share of letters among a sentence's characters, spaces aside


def split(paragraph: str, language: str) -> Iterator[str]:
    """Sentences of a paragraph; what was cut at an abbreviation or an initial is joined again."""
    joined = ""
    for piece in sentencex.segment(language, paragraph):
        joined = f"{joined} {piece.strip()}".strip()
        if not ABBREVIATION.search(joined):
            yield joined
            joined = ""
    if joined:
        yield joined


def fault(sentence: str, settings: Corpus) -> str | None:
    """Why `sentence` is not kept, in one word, or None for a whole sentence of the language."""
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
    if sum(character.isalpha() for character in characters) < MIN_LETTERS * len(characters):
        return "symbols"
    if _identifier().classify(sentence)[0] != settings.language:
        return "language"
    return None


def _balanced(sentence: str) -> bool:
    pairs = all(sentence.count(left) == sentence.count(right) for left, right in ("()", "“”", "«»"))
    return pairs and sentence.count('"') % 2 == 0


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file("data/model.npz.xz", norm_probs=True)
