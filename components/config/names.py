"""Which name someone meant."""

import difflib
from collections.abc import Iterable


def meant(name: str, known: Iterable[object]) -> str:
    """The clause ` (did you mean …?)` where one of `known` is close to `name`, else nothing."""
    close = difflib.get_close_matches(str(name), [str(each) for each in known], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
