"""Private-use characters that stand for what was removed from a page, until its sentences are judged."""

import re

GAP = "\ue000"  # a part of the sentence: what is left of it may not be whole
NOTE = "\ue001"  # a footnote or an invisible mark: nothing is missing
ITEM = "\ue002"  # opens a list item
MARKS = re.compile(f"[{GAP}{NOTE}{ITEM}]")
BREAK = "\n\n"
