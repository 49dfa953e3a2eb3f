"""Where sentences end, and which are kept."""

import pytest

from components.config.corpus import Corpus
from components.corpus.marks import GAP
from components.corpus.sentences import fault, split


@pytest.mark.parametrize(
    "sentences",
    [
        ["Dr. Smith met John F. Kennedy in the U.S. Senate.", "He saw p. 5 of Vol. 3 there."],
        ["It grows well at 15 °C.", "Frost kills it."],
        ["It weighs 3 g.", "The other one weighs 5 g."],
        ["(This one stands in brackets.)", "This one does not."],
        ["Tables, chairs, etc.", "Another sentence begins here."],
        ["They are rated as 1. Lincoln; 2. Washington; and 3. Roosevelt, as polls say.", "Others differ."],
        ["A pro-U.S. stance was taken.", "It did not last."],
    ],
)
def test_sentences_end_where_they_end(sentences: list[str]) -> None:
    assert list(split(" ".join(sentences), "en")) == sentences


@pytest.mark.parametrize(
    "sentence, reason",
    [
        ("The metal is used in lamps and in coins.", None),
        ('"It is a metal," she said to the whole house.', None),
        ("In 1926 she had 15 of them (12 of gold).", None),
        ("Zosimos of Panopolis and Maria wrote about the metal.", None),
        (f"The metal is used in {GAP} and in lamps.", "gap"),
        ("It is gold.", "length"),
        ("The metal " + "is gold and " * 30 + "is heavy.", "length"),
        ("where the metal is used in lamps.", "fragment"),
        ("The metals of the house are:", "fragment"),
        ("He says so in the book, p.", "fragment"),
        ("The metal is thumb|right|250px in the picture.", "residue"),
        ("The metal is 250px wide in the picture.", "residue"),
        ("The metal [[gold is used in many lamps.", "residue"),
        ("The metal (gold is used in many lamps.", "unbalanced"),
        ('The metal "gold is used in many lamps.', "unbalanced"),
        ("They won 3–1, 4–2, 5–1, 2–2, 3–0 and 1–0.", "symbols"),
        ("Das Metall wird in vielen Lampen und Münzen verwendet.", "language"),
    ],
)
def test_only_whole_sentences_of_the_language_are_kept(sentence: str, reason: str | None) -> None:
    assert fault(sentence, Corpus(min_words=5, max_words=64)) == reason


def test_letters_of_other_alphabets_are_letters() -> None:
    sentence = "Ο χρυσός είναι ένα μέταλλο που χρησιμοποιείται στα νομίσματα."
    assert fault(sentence, Corpus(min_words=5, max_words=64, language="el")) is None
