"""How sure it is that a sentence is of a language."""

import pytest

from components.corpus.language import language_probabilities, language_probability

SENTENCES = [
    "The metal is used in lamps and in coins.",
    "Das Metall wird in vielen Lampen und Münzen verwendet.",
    "Le métal se trouve dans les lampes; il est lourd, et il coûte cher à l'État.",
    "THE METAL IS USED IN LAMPS.",
    "Zosimos of Panopolis and Maria wrote about the metal. " * 8,
    "Метал се користи у лампама.",
    "Metal se koristi u lampama.",
    "金属はランプに使われる。",
    "cafe\u0301 au lait",
    "0 1 2",
    "",
]


@pytest.mark.parametrize("language", ["en", "de", "fr", "sr", "ja", "no such"])
def test_many_sentences_are_judged_as_each_alone(language: str) -> None:
    alone = [language_probability(sentence, language) for sentence in SENTENCES]
    assert language_probabilities(SENTENCES, language) == pytest.approx(alone, abs=1e-5)


def test_texts_of_which_nothing_is_read_are_alike_in_every_language() -> None:
    assert language_probabilities(["", ""], "en") == pytest.approx([language_probability("", "en")] * 2)


def test_no_sentences_have_no_probabilities() -> None:
    assert language_probabilities([], "en").shape == (0,)
