"""Section `corpus`: from dump or text to clean sentences."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.config.base import Fraction, Positive, Section


class Corpus(Section):
    """`format: auto` tells a MediaWiki export from plain text (one sentence a line) by its first character, `<`.

    `filter: false` takes every line that is not blank for a whole sentence, as a set that others have made ready wants.
    Lengths are in words, between blanks. `heldout` is the share of sentences kept out of training, `max_sentences` the
    size of a sample of all of them (null: no bound); both are drawn by the seed.
    """

    format: Literal["auto", "mediawiki", "text"] = "auto"
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"
    filter: bool = True
    min_words: Positive = 4
    max_words: Positive = 64
    heldout: Fraction = 0.1
    max_sentences: Positive | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is above max_words ({self.max_words})")
        return self
