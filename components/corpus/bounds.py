"""Bounds on one page, so that none stalls a dump: its size, and the work that its broken markup would cost.

The parser tries every opening that is never closed against all of the text behind it, so its time grows with the
square of a page that repeats one. Such openings are counted before it starts.
"""

import re
from collections import Counter

LARGEST = 1 << 22  # characters; MediaWiki itself takes no page above 2 MiB
MANY = 300  # unclosed openings that any page may have
WORK = 3_000_000  # unclosed openings times characters: about a second of the parser
MARKUP = re.compile(
    r"\{\{|\}\}|\{\||\|\}|\[\[|\]\]|\[(?=https?:|//|ftp:|mailto:)|\]|<!--|-->|<(/?[a-zA-Z]\w*)([^<>]*>)?"
)
CLOSES = {"}}": "{{", "|}": "{|", "]]": "[[", "]": "[", "-->": "<!--"}
UNPAIRED = {"br", "wbr", "hr", "meta", "link", "img", "li", "dt", "dd", "th", "td", "tr"}  # tags that need no closing


class CostlyError(Exception):
    """The page is beyond the bounds."""


def check(text: str) -> None:
    """Raise a CostlyError for wikitext that is beyond the bounds.

    Most pages are let through by counts alone.
    """
    if len(text) > LARGEST:
        raise CostlyError
    openings = text.count("{{") + text.count("{|") + text.count("[") + text.count("<")
    if openings > MANY and openings * len(text) > WORK:
        unclosed = _unclosed(text)
        if unclosed > MANY and unclosed * len(text) > WORK:
            raise CostlyError


def _unclosed(text: str) -> int:
    """How many openings have no closing, or one that crosses another pair."""
    stack: list[str] = []
    depth: Counter[str] = Counter()
    count = 0
    for found in MARKUP.finditer(text):
        opening, closed = found[0], None
        if found[1] is not None:
            opening = found[1].lower()
            if found[2] is None:  # the tag itself is never closed
                count += 1
                continue
            if found[2].endswith("/>") or opening in UNPAIRED:
                continue
            closed = opening[1:] if opening.startswith("/") else None
        else:
            closed = CLOSES.get(opening)
        if closed is None:
            stack.append(opening)
            depth[opening] += 1
        elif depth[closed]:
            while (top := stack.pop()) != closed:
                count += 1
                depth[top] -= 1
            depth[closed] -= 1
    return count + len(stack)
