"""Templates of which the page's reader sees something in the sentence, and those that are mere notes."""

import re
from collections.abc import Callable
from functools import partial

from components.corpus.marks import GAP

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
    *("flagicon", "flag icon", "clear", "-", "toc right", "toclimit", "pb", "increase", "decrease", "lsj", "vol."),
    *("p.",),
    *("harvid", "oclc", "doi", "isbn", "google books", "subscription required", "registration required", "en icon"),
}
NOTE_OPENINGS = ("cite ", "sfn", "efn", "pp-", "use ")
NOTE_ENDINGS = (" icon", "-inline")
# {{convert|5|to|10|km}}: the joints, and the units that read well as their own symbols.
JOINTS = {"to": " to ", "and": " and ", "or": " or ", "-": "–", "–": "–", "by": " by ", "x": " by ", "and(-)": " and "}
UNITS = {unit: unit for unit in ("km", "m", "cm", "mm", "kg", "g", "t", "mi", "ft", "mph", "km/h", "ft/s", "m/s", "ha")}
UNITS |= {"C": "°C", "F": "°F", "°C": "°C", "°F": "°F", "K": "K", "in": "inches", "lb": "pounds"}
UNITS |= {"nmi": "nautical miles"}
UNITS |= {"acre": "acres", "sqmi": "square miles", "sqft": "square feet", "km2": "km²", "m2": "m²", "m3": "m³"}


def is_note(name: str) -> bool:
    """Whether nothing is missing where the template `name`, in lower case, is left out."""
    return name in NOTES or name.startswith(NOTE_OPENINGS) or name.endswith(NOTE_ENDINGS)


def _argument(place: int, arguments: list[str], named: set[str]) -> str | None:
    if not arguments:
        return None
    return arguments[place if place < 0 else place - 1] or GAP


def _quantity(arguments: list[str], named: set[str]) -> str | None:
    if len(arguments) < 2:
        return None
    number, unit = arguments[0], arguments[1]
    if unit in JOINTS and len(arguments) > 3:
        number, unit = f"{number}{JOINTS[unit]}{arguments[2]}", arguments[3]
    if unit not in UNITS:
        return GAP
    if "adj" in named:
        return f"{number}-{re.sub('(?<=[a-z]{3})s$', '', UNITS[unit])}"
    return f"{number} {UNITS[unit]}"


def _formula(arguments: list[str], named: set[str]) -> str | None:
    return "".join(arguments)


def _circa(arguments: list[str], named: set[str]) -> str | None:
    return f"c. {arguments[0]}" if arguments else None


def _as_of(arguments: list[str], named: set[str]) -> str | None:
    return f"{'as' if 'lc' in named else 'As'} of {' '.join(reversed(arguments))}" if arguments else None


def _fraction(arguments: list[str], named: set[str]) -> str | None:
    return f"{arguments[0]}/{arguments[1]}" if len(arguments) == 2 else None


# By name: what a template that shows its arguments shows of these (those by place, and the names of the others), or
# None where they are not what it takes.
WRITERS: dict[str, Callable[[list[str], set[str]], str | None]] = {
    **{name: partial(_argument, place) for name, place in SHOWN.items()},
    **{"convert": _quantity, "cvt": _quantity, "chem": _formula, "circa": _circa, "c.": _circa},
    **{"as of": _as_of, "frac": _fraction},
}
