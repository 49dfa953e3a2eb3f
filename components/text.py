"""What rooms far apart ask of a sentence: its plain form, and how many of its words another one shares."""

from rapidfuzz.distance import Levenshtein


def normal(text: str) -> str:
    """Case and white space away: what two sentences are compared by."""
    return " ".join(text.casefold().split())


def match_error_rate(first: str, second: str) -> float:
    """(S + D + I) / (S + D + I + H) of the words' alignment with the fewest edits; in [0, 1], 0 for equal texts.

    S, D and I are substitutions, deletions and insertions that make `second` of `first`, H the words kept. Words are
    parted by blanks. Morris et al. 2004, "From WER and RIL to MER and WIL", section 2.
    """
    words, others = first.split(), second.split()
    edits = Levenshtein.editops(words, others)
    touched = sum(edit.tag != "insert" for edit in edits)
    total = len(edits) + len(words) - touched
    return len(edits) / total if total else 0.0
