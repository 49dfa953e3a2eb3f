"""The commonest markup, of which the reader sees the same wherever it stands, shown before the page is parsed.

Most of an article's markup is references, links and list items with no other markup in them. A regular expression is
sooner done with these than the parser; what is nested, broken or unusual is left to it. One thing changes: a link
within a link's title or a template's name, which breaks them, no longer does.
"""

import re
from operator import itemgetter

from components.corpus.marks import ITEM

TEXT = r"[^<>{}\[\]]"
LINKED = rf"\[\[{TEXT}*+\]\]|\[{TEXT}*+\]"
TEMPLATE = rf"\{{\{{(?:{TEXT}++|{LINKED}|\{{\{{{TEXT}*+\}}\}})*+\}}\}}"
# Or a comment, in which a reference is none.
REFERENCE = re.compile(
    rf"<ref(?:\s[^<>/]*+)?(?:/>|>(?:{TEXT}++|{LINKED}|{TEMPLATE})*+</ref>)|(<!--.*?(?:-->|\Z))", re.DOTALL
)
# Neither a namespace nor another language, and where its text makes no other markup with what stands beside it.
LINK = re.compile(r"\[\[(?<![^\s(\"'|=*]\[\[)(?:\w[^\[\]{}|<>\n:]*\|)?(\w[^\[\]{}|<>\n:&=_]*)\]\](?![\]:])")
LIST_ITEM = re.compile(r"^[*#:]++(?=[^\[\]{}|<>\n=]*$)", re.MULTILINE)


def without_plain_markup(text: str) -> str:
    """Wikitext that shows the same, with plain references emptied, and plain links and list items as they are shown."""
    if "<nowiki" in text.lower():
        return text
    text = REFERENCE.sub(lambda found: found[1] or "<ref/>", text)
    text = LINK.sub(itemgetter(1), text)
    return LIST_ITEM.sub(lambda found: ITEM * len(found[0]), text)
