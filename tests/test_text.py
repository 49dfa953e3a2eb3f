import pytest

from components.text import match_error_rate


# Of the last, "x" for "b" and an added "e": two edits, three words kept.
@pytest.mark.parametrize(
    ("first", "second", "rate"),
    [("a b", "a b", 0), ("a b", "c d e", 1), ("", "", 0), ("a b c", "a c", 1 / 3), ("a b c d", "a x c d e", 2 / 5)],
)
def test_match_error_rate_counts_words(first: str, second: str, rate: float) -> None:
    assert match_error_rate(first, second) == pytest.approx(rate)
