"""Wikitext → plain paragraphs, with a mark wherever something was taken out that the reader of the page would see."""

import re
from collections.abc import Iterator

from components.corpus.marks import GAP, ITEM, NOTE
from components.corpus.markup import PageText
from components.text import well_formed

MANY = 2000  # marks in a paragraph
CLOSED = r"""[.!?]["'”’)\]]*"""
FOOTNOTES = re.compile(rf"({CLOSED})\s*[{GAP}{NOTE}]+\s*")  # what follows a full stop
NOTES = re.compile(NOTE + "{2,}")
INNER_NOTE = re.compile(rf"{NOTE}(?<=\w{NOTE})(?=\w)")
# One with nothing in it, or with a space, a comma or a colon next to it on the inside.
UNTIDY_BRACKET = re.compile(r"[()\[\]](?:(?<=[(\[])(?=[ ,;:)\]])|(?<=[ ,;:][)\]]))")
WITH_GAP = re.compile(rf"\s*(\([^()]*{GAP}[^()]*\)|\[[^\[\]]*{GAP}[^\[\]]*\])")


def paragraphs(text: str, media: frozenset[str], language: str = "en") -> Iterator[str]:
    """Running text of a page's sections but its appendices: no table, list, caption, heading or reference.

    `media` are the lower-case namespaces whose links show no text in place: files and categories. The headings of
    appendices are those of `language`.

    Raises:
        mwparserfromhell.parser.ParserError: the page defeats the parser.
        components.corpus.bounds.CostlyError: the page would stall it.
    """
    lines: list[str] = []
    for line in [*well_formed(PageText(text, media, language).shown()).split("\n"), ""]:
        line = line.strip()
        if line.strip(GAP + NOTE + " ") and not line.startswith((ITEM, "|", "!", "{|", "*", "#", ":", ";", "=")):
            lines.append(line)
        elif lines:
            yield _tidy(" ".join(lines))
            lines = []


def _tidy(text: str) -> str:
    text = re.sub(r"'{2,}", "", text)
    if text.count(GAP) + text.count(NOTE) > MANY:  # more than any sentence has, and slow to take out
        return GAP
    if GAP in text or NOTE in text:
        text = FOOTNOTES.sub(r"\1 ", text)
        text = INNER_NOTE.sub(" ", NOTES.sub(NOTE, text)).replace(NOTE, "")
        while GAP in text and WITH_GAP.search(text):
            text = WITH_GAP.sub("", text)  # a sentence stays whole without its parenthesis
    text = " ".join(text.split())
    if UNTIDY_BRACKET.search(text):
        text = re.sub(r"([(\[])[ ,;:]+", r"\1", text)
        text = re.sub(r"[ ,;:]+([)\]])", r"\1", text)
        text = re.sub(r" ?(\(\)|\[\])", "", text)
    return re.sub(r" ([,.;:!?](?: |$))", r"\1", text)
