"""The plain way to a page's text: mwparserfromhell's tree, node by node; what the fast way must agree with."""

import mwparserfromhell
from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Node, Tag, Template, Text, Wikilink
from mwparserfromhell.wikicode import Wikicode

from components.corpus import markup as w
from components.corpus.appendices import APPENDICES
from components.corpus.templates import WRITERS, is_note

MEDIA = frozenset({"file", "image", "category", "bild"})


def shown_of_page(text: str) -> str:
    """What the reader of a page sees of all but its appendices, marks included."""
    pieces, hidden_below = [], 0
    for node in mwparserfromhell.parse(text, skip_style_tags=True).nodes:
        if isinstance(node, Heading):
            if not hidden_below or node.level <= hidden_below:
                hidden_below = node.level if _all(node.title).strip().casefold() in APPENDICES["en"] else 0
            pieces.append(w.BREAK)
        elif not hidden_below:
            pieces.append(_one(node))
    return "".join(pieces)


def _all(code: Wikicode | None) -> str:
    return "".join(_one(node) for node in code.nodes) if code is not None else ""


def _one(node: Node) -> str:
    match node:
        case Text():
            return str(node)
        case Heading():
            return w.BREAK
        case HTMLEntity():
            return node.normalize()
        case ExternalLink():
            return _all(node.title) if node.title else w.NOTE if node.brackets else w.GAP
        case Wikilink():
            return _link(node)
        case Tag():
            return _tag(node)
        case Template():
            return _template(node)
    return ""


def _link(node: Wikilink) -> str:
    prefix, colon, _ = str(node.title).strip().partition(":")
    if colon and prefix.strip().lower() in MEDIA:
        return ""
    if node.text is not None:
        return _all(node.text)
    return "" if colon and prefix in {"de", "zh-yue"} else _all(node.title).lstrip(":").replace("_", " ")


def _tag(node: Tag) -> str:
    name = str(node.tag).strip().lower()
    if name in {"li", "dd", "dt"}:
        return w.ITEM if node.wiki_markup else w.BREAK
    for names, mark in ((w.HIDDEN_TAGS, w.NOTE), (w.GAP_TAGS, w.GAP), (w.DROPPED_BLOCKS, w.BREAK), ({"br"}, " ")):
        if name in names:
            return mark
    inner = _all(node.contents)
    if name == "sup":
        return inner.translate(w.SUPERSCRIPTS)
    return w.BREAK + inner + w.BREAK if name in w.BLOCK_TAGS else inner


def _template(node: Template) -> str:
    name = str(node.name).strip().replace("_", " ").lower()
    if name in w.SIGNS:
        return w.SIGNS[name]
    if is_note(name):
        return w.NOTE
    arguments = [_all(each.value).strip() for each in node.params if not each.showkey]
    named = {str(each.name).strip() for each in node.params if each.showkey}
    seen = WRITERS[name](arguments, named) if name in WRITERS else None
    if seen is not None:
        return seen
    own = [node.name, *(each.name for each in node.params if each.showkey), *(each.value for each in node.params)]
    return w.BREAK if any("\n" in text.value for code in own for text in code.ifilter_text(recursive=False)) else w.GAP
