"""Text from outside put into Markdown: shown as it is, never as markup."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt

_MARKUP = re.compile(r"([\\`*\[\]|])")
_CODE = re.compile(r"[^`|<>&\\\s]+")


def plain(text: str) -> str:
    """`text` on one line, without effect as Markdown or HTML."""
    escaped = _MARKUP.sub(r"\\\1", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_html(text: str) -> str:
    """Markdown with tables as HTML; HTML inside it is shown as text, for names come from outside."""
    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def code(text: str) -> str:
    """A name set as code, where it has no character that could end that; else `plain`."""
    return f"`{text}`" if _CODE.fullmatch(text) else plain(text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """A table of cells that are Markdown already; with `numbers`, all columns but the first stand to the right."""
    rule = ["---", *["---:" if numbers else "---"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *rows))
