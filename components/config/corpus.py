"""Section `corpus`: from dump or text to clean sentences."""

from typing import Literal, Self

from pydantic import PositiveInt, field_validator, model_validator

from components.config.base import Fraction, Section

# Languages of two letters (ISO 639-1) that the language model of py3langid knows.
LANGUAGES = {
    *("af", "am", "an", "ar", "as", "az", "ba", "be", "bg", "bn", "br", "bs", "ca", "cs", "cy", "da"),
    *("de", "dz", "el", "en", "eo", "es", "et", "eu", "fa", "fi", "fo", "fr", "fy", "ga", "gd", "gl"),
    *("gu", "ha", "he", "hi", "hr", "ht", "hu", "hy", "id", "ig", "is", "it", "ja", "jv", "ka", "kk"),
    *("km", "kn", "ko", "ku", "ky", "la", "lb", "lg", "ln", "lo", "lt", "lv", "mg", "mk", "ml", "mn"),
    *("mr", "ms", "mt", "my", "ne", "nl", "nn", "no", "oc", "om", "or", "pa", "pl", "ps", "pt", "qu"),
    *("ro", "ru", "rw", "sa", "se", "si", "sk", "sl", "sn", "so", "sq", "sr", "st", "sv", "sw", "ta"),
    *("te", "tg", "th", "tk", "tl", "tr", "tt", "ug", "uk", "ur", "uz", "vi", "vo", "wa", "xh", "yo"),
    *("zh", "zu"),
}


class Corpus(Section):
    """`format: auto` tells a MediaWiki export from plain text (one sentence a line) by its first character, `<`.

    `filter: false` takes every line that is not blank for a whole sentence, as a set that others have made ready wants.
    Lengths are in words; in scripts without spaces a word is so many characters (`components.text.CHARACTERS`).
    `language` is an ISO 639-1 code that the language model knows; docs/languages.md says which are tested. `heldout` is
    the share of sentences kept out of training, `max_sentences` the size of a sample of all of them (null: no bound);
    both are drawn by the seed. `unique` takes sentences that differ in case or white space alone once (the papers' code
    takes all: a sentence twice in a batch is its own negative).
    """

    format: Literal["auto", "mediawiki", "text"] = "auto"
    language: str = "en"
    filter: bool = True
    min_words: PositiveInt = 4
    max_words: PositiveInt = 64
    unique: bool = True
    heldout: Fraction = 0.1
    max_sentences: PositiveInt | None = None

    @field_validator("language")
    @classmethod
    def _known(cls, language: str) -> str:
        if language not in LANGUAGES:
            raise ValueError(
                f"the language model knows no language {language!r}; it knows {', '.join(sorted(LANGUAGES))}"
            )
        return language

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is above max_words ({self.max_words})")
        return self
