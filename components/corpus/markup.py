"""Wikitext → what the page's reader sees, with a mark wherever something else was taken out."""

import html
import re
from collections.abc import Iterator

from mwparserfromhell.parser import CTokenizer, ParserError, tokens
from mwparserfromhell.parser.tokens import Token

from components.corpus.appendices import APPENDICES
from components.corpus.bounds import check
from components.corpus.marks import BREAK, GAP, ITEM, MARKS, NOTE
from components.corpus.plain import without_plain_markup
from components.corpus.templates import SIGNS, WRITERS, is_note

HIDDEN_TAGS = {"ref", "references", "gallery", "timeline", "imagemap", "score", "section", "templatestyles", "hr"}
GAP_TAGS = {"math", "chem", "code", "source", "syntaxhighlight", "pre", "tt", "kbd", "hiero", "graph", "ce", "poem"}
SUPERSCRIPTS = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
BLOCK_TAGS = {"blockquote", "div", "p", "h1", "h2", "h3", "h4", "h5", "h6"}
DROPPED_BLOCKS = {"table", "ul", "ol", "dl", "center"}

OPENINGS = {
    *(tokens.TemplateOpen, tokens.ArgumentOpen, tokens.WikilinkOpen, tokens.ExternalLinkOpen, tokens.TagOpenOpen),
    *(tokens.HTMLEntityStart, tokens.HeadingStart, tokens.CommentStart),
}
CLOSINGS = {
    *(tokens.TemplateClose, tokens.ArgumentClose, tokens.WikilinkClose, tokens.ExternalLinkClose),
    *(tokens.TagCloseClose, tokens.TagCloseSelfclose, tokens.HTMLEntityEnd, tokens.HeadingEnd, tokens.CommentEnd),
}


class PageText:
    """A page's tokens, and what of them its reader sees.

    mwparserfromhell builds a tree of them, which costs far more than the tokens themselves; most of it is references
    and infoboxes, none of which is shown. Here they are stepped over.
    """

    def __init__(self, text: str, media: frozenset[str], language: str = "en") -> None:
        self._media = media
        self._appendices = APPENDICES.get(language, APPENDICES["en"])
        plain = without_plain_markup(MARKS.sub("", text))
        check(plain)
        self._tokens = CTokenizer().tokenize(plain, 0, True)  # bold and italics stay text
        self._ends = _ends(self._tokens)

    def shown(self) -> str:
        """Of the whole page but its appendices."""
        pieces = []
        hidden_below = 0  # level of the appendix that we are in
        for at in self._level(0, len(self._tokens)):
            token = self._tokens[at]
            if type(token) is tokens.HeadingStart:
                if not hidden_below or token.level <= hidden_below:
                    title = self._text(at + 1, self._ends[at]).strip().casefold()
                    hidden_below = token.level if title in self._appendices else 0
                pieces.append(BREAK)
            elif not hidden_below:
                pieces.append(self._one(at))
        return "".join(pieces)

    def _level(self, start: int, end: int) -> Iterator[int]:
        """Places from `start` to `end`, of texts, separators, and the openings of what stands on the same level."""
        at = start
        while at < end:
            yield at
            at = self._ends.get(at, at) + 1

    def _text(self, start: int, end: int) -> str:
        return "".join([self._one(at) for at in self._level(start, end)])

    def _one(self, at: int) -> str:
        """What the page's reader sees in the place of the token at `at` and all that it opens."""
        token = self._tokens[at]
        if type(token) is tokens.Text:
            return str(token["text"])
        reader = READERS.get(type(token))
        return reader(self, at) if reader else BREAK if type(token) is tokens.HeadingStart else ""

    def _parts(self, at: int, *separators: type[Token]) -> list[tuple[Token, int, int]]:
        """The inside of what opens at `at`, cut at its own separators: what opens each part, its start and its end."""
        cuts = [at, *(k for k in self._level(at + 1, self._ends[at]) if type(self._tokens[k]) in separators)]
        return [(self._tokens[cut], cut + 1, end) for cut, end in zip(cuts, [*cuts[1:], self._ends[at]], strict=True)]

    def _entity(self, at: int) -> str:
        *kind, value = self._tokens[at + 1 : self._ends[at]]
        if not kind:
            return MARKS.sub("", html.unescape(f"&{value.text};"))
        return MARKS.sub("", chr(int(value.text, 16 if len(kind) > 1 else 10)))

    def _external_link(self, at: int) -> str:
        parts = self._parts(at, tokens.ExternalLinkSeparator)
        _, start, end = parts[-1]
        if len(parts) > 1 and start < end:
            return self._text(start, end)
        return NOTE if self._tokens[at].brackets else GAP

    def _link(self, at: int) -> str:
        (_, start, end), *texts = self._parts(at, tokens.WikilinkSeparator)
        title = self._text(start, end)
        prefix, colon, _ = title.strip().partition(":")
        if colon and prefix.strip().lower() in self._media:
            return ""
        if texts:
            _, start, end = texts[0]
            return self._text(start, end)
        if colon and re.fullmatch(r"[a-z]{2,3}(-[a-z-]+)?", prefix):
            return ""  # the same article in another language
        return title.lstrip(":").replace("_", " ")

    def _tag(self, at: int) -> str:
        (_, start, end), *parts = self._parts(at, tokens.TagAttrStart, tokens.TagCloseOpen, tokens.TagOpenClose)
        name = self._text(start, end).strip().lower()
        if name in {"li", "dd", "dt"}:
            return ITEM if self._tokens[at].wiki_markup else BREAK
        if name in HIDDEN_TAGS:
            return NOTE
        if name in GAP_TAGS:
            return GAP
        if name in DROPPED_BLOCKS:
            return BREAK
        if name == "br":
            return " "
        inner = "".join(self._text(start, end) for opening, start, end in parts if type(opening) is tokens.TagCloseOpen)
        if name == "sup":
            return inner.translate(SUPERSCRIPTS)
        return BREAK + inner + BREAK if name in BLOCK_TAGS else inner

    def _template(self, at: int) -> str:
        (_, start, end), *parts = self._parts(at, tokens.TemplateParamSeparator)
        name = self._text(start, end).strip().replace("_", " ").lower()
        if name in SIGNS:
            return SIGNS[name]
        if is_note(name):
            return NOTE
        seen = WRITERS[name](*self._arguments(parts)) if name in WRITERS else None
        if seen is not None:
            return seen
        own = (self._tokens[k].get("text", "") for k in self._level(at + 1, self._ends[at]))
        return BREAK if any("\n" in text for text in own) else GAP

    def _arguments(self, parts: list[tuple[Token, int, int]]) -> tuple[list[str], set[str]]:
        """A template's arguments by place, and the names of the others."""
        by_place, named = [], set()
        for _, start, end in parts:
            equals = [k for k in self._level(start, end) if type(self._tokens[k]) is tokens.TemplateParamEquals]
            if equals:
                named.add(self._text(start, equals[0]).strip())
            else:
                by_place.append(self._text(start, end).strip())
        return by_place, named


READERS = {
    tokens.WikilinkOpen: PageText._link,
    tokens.TemplateOpen: PageText._template,
    tokens.TagOpenOpen: PageText._tag,
    tokens.HTMLEntityStart: PageText._entity,
    tokens.ExternalLinkOpen: PageText._external_link,
}  # of an argument or a comment nothing is seen


def _ends(found: list[Token]) -> dict[int, int]:
    """Where what opens at each place closes."""
    ends, open_at = {}, []
    for at, token in enumerate(found):
        kind = type(token)
        if kind in OPENINGS:
            open_at.append(at)
        elif kind in CLOSINGS:
            if not open_at:
                raise ParserError("something closes that was not opened")
            ends[open_at.pop()] = at
    if open_at:
        raise ParserError("something is not closed")
    return ends
