import pytest

from components.text import length_in_words, match_error_rate, well_formed


# Of the last, "x" for "b" and an added "e": two edits, three words kept.
@pytest.mark.parametrize(
    ("first", "second", "rate"),
    [("a b", "a b", 0), ("a b", "c d e", 1), ("", "", 0), ("a b c", "a c", 1 / 3), ("a b c d", "a x c d e", 2 / 5)],
)
def test_match_error_rate_counts_words(first: str, second: str, rate: float) -> None:
    assert match_error_rate(first, second) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        ("plain é 😀", "plain é 😀"),
        ("\ud83d\ude00!", "😀!"),
        ("a\ud83d b\ude00 c", "a b c"),
        ("\ud83d\ud83d\ude00\ude00", "😀"),
        ("N\0UL", "NUL"),
        ("\uffff stays", "\uffff stays"),
    ],
)
def test_text_is_repaired_to_what_utf_8_can_hold(text: str, repaired: str) -> None:
    assert well_formed(text) == repaired
    assert well_formed(text).encode().decode() == repaired


# Of a script without spaces each character is a word to an edit, and two or four of them one in a length.
@pytest.mark.parametrize(("first", "second", "rate"), [("猫坐着。", "猫站着。", 1 / 4), ("我爱NLP", "我爱 NLP", 0)])
def test_match_error_rate_counts_characters_without_spaces(first: str, second: str, rate: float) -> None:
    assert match_error_rate(first, second) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "count"),
    [("A cat — sat.", 4), ("猫坐在大房子里的垫子上。", 6), ("我们用 BERT 训练。", 4), ("แมวนอนอยู่บนเสื่อ", 5), ("", 0)],
)
def test_lengths_are_in_words_of_any_script(text: str, count: int) -> None:
    assert length_in_words(text) == count
