"""Wikitext → plain paragraphs, with a mark wherever something was taken out that the reader of the page would see."""

import re
from collections.abc import Iterator

import mwparserfromhell
from mwparserfromhell.nodes import (
    ExternalLink,
    Heading,
    HTMLEntity,
    Node,
    Tag,
    Template,
    Text,
    Wikilink,
)
from mwparserfromhell.wikicode import Wikicode

# Private-use characters stand for what was removed, until sentences are judged.
GAP = "\ue000"  # a part of the sentence: what is left of it may not be whole
NOTE = "\ue001"  # a footnote or an invisible mark: nothing is missing
ITEM = "\ue002"  # opens a list item
MARKS = str.maketrans("", "", GAP + NOTE + ITEM)
BREAK = "\n\n"

# Sections after the article proper.
APPENDICES = {
    *("references", "notes", "external links", "see also", "bibliography", "further reading", "footnotes", "sources"),
    *("citations", "works cited", "notes and references", "references and notes", "primary sources"),
    *("secondary sources",),
}
HIDDEN_TAGS = {"ref", "references", "gallery", "timeline", "imagemap", "score", "section", "templatestyles", "hr"}
GAP_TAGS = {"math", "chem", "code", "source", "syntaxhighlight", "pre", "tt", "kbd", "hiero", "graph", "ce", "poem"}
SUPERSCRIPTS = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
BLOCK_TAGS = {"blockquote", "div", "p", "h1", "h2", "h3", "h4", "h5", "h6"}
DROPPED_BLOCKS = {"table", "ul", "ol", "dl", "center"}

# Templates whose reader sees one of their arguments (by place, -1 the last) and nothing else.
SHOWN = {
    "lang": -1, "transl": -1, "script": -1, "nowrap": 1, "nobr": 1, "nobold": 1, "small": 1, "smaller": 1, "big": 1,
    "nihongo": 1, "abbr": 1, "tooltip": 1, "vanchor": 1, "visible anchor": 1, "sc": 1, "smallcaps": 1, "angbr": 1,
    "ipa": 1, "unicode": 1, "polytonic": 1, "linktext": 1, "keypress": 1, "resize": -1, "sup": 1, "sub": 1, "em": 1,
    "strong": 1, "nastaliq": 1, "pow": 1, "flag": 1, "flagcountry": 1, "interlanguage link": 1, "ill": 1,
    "not a typo": 1, "notatypo": 1, "title": 1, "literal translation": 1, "as written": 1,
}  # fmt: skip
SIGNS = {
    "nbsp": " ", "spaces": " ", "space": " ", "thinsp": " ", "ndash": "–", "endash": "–", "mdash": "—", "mdashb": "—",
    "em dash": "—", "snd": " – ", "spaced ndash": " – ", "'s": "'s", "'": "'", "·": " · ", "=": "=", "!": "|",
    "pipe": "|", "shy": "", "zwj": "", "-": "", "wbr": "", "nnbsp": " ", "hair space": " ",
}  # fmt: skip
NOTES = {
    *("citation needed", "cn", "fact", "citation", "rp", "page needed", "clarify", "when", "which", "who", "whom", "r"),
    *("by whom", "according to whom", "dead link", "failed verification", "better source", "dubious", "anchor", "refn"),
    *("efn", "vague", "specify", "wayback", "#tag:ref", "sic", "verify source", "citation needed span", "fact", "note"),
    *("verification needed", "original research inline", "weasel-inline", "peacock term", "unreliable source?", "ref"),
    *("relevance inline", "pov-statement", "disambiguation needed", "clarify span", "full", "citation broken", "issn"),
    *("update after", "year needed", "definition needed", "why", "where", "how", "what", "quantify", "self-published"),
    *(
        "flagicon",
        "flag icon",
        "clear",
        "-",
        "toc right",
        "toclimit",
        "pb",
        "increase",
        "decrease",
        "lsj",
        "vol.",
        "p.",
    ),
    *("harvid", "oclc", "doi", "isbn", "google books", "subscription required", "registration required", "en icon"),
}
# {{convert|5|to|10|km}}: the joints, and the units that read well as their own symbols.
JOINTS = {"to": " to ", "and": " and ", "or": " or ", "-": "–", "–": "–", "by": " by ", "x": " by ", "and(-)": " and "}
UNITS = {unit: unit for unit in ("km", "m", "cm", "mm", "kg", "g", "t", "mi", "ft", "mph", "km/h", "ft/s", "m/s", "ha")}
UNITS |= {
    "C": "°C",
    "F": "°F",
    "°C": "°C",
    "°F": "°F",
    "K": "K",
    "in": "inches",
    "lb": "pounds",
    "nmi": "nautical miles",
}
UNITS |= {"acre": "acres", "sqmi": "square miles", "sqft": "square feet", "km2": "km²", "m2": "m²", "m3": "m³"}


def paragraphs(text: str, media: frozenset[str]) -> Iterator[str]:
    """Running text of a page's sections but its appendices: no table, list, caption, heading or reference.

    `media` are the lower-case namespaces whose links show no text in place: files and categories.

    Raises:
        mwparserfromhell.parser.ParserError: the page defeats the parser.
    """
    code = mwparserfromhell.parse(text.translate(MARKS), skip_style_tags=True)
    pieces: list[str] = []
    hidden_below = 0  # level of the appendix that we are in
    for node in code.nodes:
        if isinstance(node, Heading):
            title = _plain(node.title, media).strip().casefold()
            if not hidden_below or node.level <= hidden_below:
                hidden_below = node.level if title in APPENDICES else 0
            pieces.append(BREAK)
        elif not hidden_below:
            pieces.append(_shown(node, media))
    lines: list[str] = []
    for line in [*"".join(pieces).split("\n"), ""]:
        line = line.strip()
        if line.strip(GAP + NOTE + " ") and not line.startswith((ITEM, "|", "!", "{|", "*", "#", ":", ";", "=")):
            lines.append(line)
        elif lines:
            yield _tidy(" ".join(lines))
            lines = []


def _plain(code: Wikicode | None, media: frozenset[str]) -> str:
    return "".join(_shown(node, media) for node in code.nodes) if code is not None else ""


def _shown(node: Node, media: frozenset[str]) -> str:
    """What the page's reader sees in the place of `node`."""
    if isinstance(node, Text):
        return str(node)
    if isinstance(node, Wikilink):
        return _link(node, media)
    if isinstance(node, Template):
        return _template(node, media)
    if isinstance(node, Tag):
        return _tag(node, media)
    if isinstance(node, HTMLEntity):
        return str(node.normalize()).translate(MARKS)
    if isinstance(node, ExternalLink):
        return _plain(node.title, media) if node.title else (NOTE if node.brackets else GAP)
    return BREAK if isinstance(node, Heading) else ""


def _link(node: Wikilink, media: frozenset[str]) -> str:
    title = str(node.title).strip()
    prefix, colon, _ = title.partition(":")
    if colon and prefix.strip().lower() in media:
        return ""
    if node.text is not None:
        return _plain(node.text, media)
    if colon and re.fullmatch(r"[a-z]{2,3}(-[a-z-]+)?", prefix):
        return ""  # the same article in another language
    return _plain(node.title, media).lstrip(":").replace("_", " ")


def _tag(node: Tag, media: frozenset[str]) -> str:
    name = str(node.tag).strip().lower()
    if name in {"li", "dd", "dt"}:
        return ITEM if node.wiki_markup else BREAK
    if name in HIDDEN_TAGS:
        return NOTE
    if name in GAP_TAGS:
        return GAP
    if name in DROPPED_BLOCKS:
        return BREAK
    if name == "br":
        return " "
    inner = _plain(node.contents, media)
    if name == "sup":
        return inner.translate(SUPERSCRIPTS)
    return BREAK + inner + BREAK if name in BLOCK_TAGS else inner


def _template(node: Template, media: frozenset[str]) -> str:
    name = str(node.name).strip().replace("_", " ").lower()
    if name in SIGNS:
        return SIGNS[name]
    if name in NOTES or name.startswith(("cite ", "sfn", "efn", "pp-", "use ")) or name.endswith((" icon", "-inline")):
        return NOTE
    arguments = [_plain(each.value, media).strip() for each in node.params if not each.showkey]
    if name in SHOWN and arguments:
        place = SHOWN[name]
        return arguments[place if place < 0 else place - 1] or GAP
    if name in {"convert", "cvt"} and len(arguments) > 1:
        return _quantity(arguments, adjective=node.has("adj"))
    if name == "chem":
        return "".join(arguments)
    if name in {"circa", "c."} and arguments:
        return f"c. {arguments[0]}"
    if name == "as of" and arguments:
        return f"{'as' if node.has('lc') else 'As'} of {' '.join(reversed(arguments))}"
    if name == "frac" and len(arguments) == 2:
        return f"{arguments[0]}/{arguments[1]}"
    return BREAK if "\n" in str(node) else GAP


def _quantity(arguments: list[str], adjective: bool) -> str:
    number, unit = arguments[0], arguments[1]
    if unit in JOINTS and len(arguments) > 3:
        number, unit = f"{number}{JOINTS[unit]}{arguments[2]}", arguments[3]
    if unit not in UNITS:
        return GAP
    return f"{number}-{re.sub('(?<=[a-z]{3})s$', '', UNITS[unit])}" if adjective else f"{number} {UNITS[unit]}"


CLOSED = r"""[.!?]["'”’)\]]*"""


def _tidy(text: str) -> str:
    text = re.sub(r"'{2,}", "", text)
    text = re.sub(rf"({CLOSED})\s*[{GAP}{NOTE}]+\s*", r"\1 ", text)  # what follows a full stop is a footnote
    text = re.sub(rf"(?<=\w){NOTE}+(?=\w)", " ", text).replace(NOTE, "")
    bracketed = re.compile(rf"\s*(\([^()]*{GAP}[^()]*\)|\[[^\[\]]*{GAP}[^\[\]]*\])")
    while bracketed.search(text):
        text = bracketed.sub("", text)  # a sentence stays whole without its parenthesis
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"([(\[])[\s,;:]+", r"\1", text)
    text = re.sub(r"[\s,;:]+([)\]])", r"\1", text)
    text = re.sub(r"\s*(\(\)|\[\])", "", text)
    text = re.sub(r"\s+([,.;:!?](?:\s|$))", r"\1", text)
    return text.strip()
