"""Section `augmentation`: the views of a sentence, stored tokenised."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.config.base import Fraction, Name, Section


class Identity(Section):
    """The sentence as it is; two of it differ by dropout alone (SimCSE)."""

    kind: Literal["identity"]


class WordRepetition(Section):
    """ESimCSE §3.1: some units stand twice, so that length no longer betrays the positive."""

    kind: Literal["word_repetition"]
    rate: Fraction = 0.32
    unit: Literal["subword", "word"] = "subword"


class TokenShuffle(Section):
    """NGCSE §3: the tokens in a random order; `differs` asks for another one than the given (NGCSE's code does not)."""

    kind: Literal["token_shuffle"]
    differs: bool = True


class TokenCutoff(Section):
    """NGCSE §3: a share of the tokens hidden from attention, at least one; with `delete` taken out, so that those after
    them move up, and none where the share rounds to none (NGCSE's code)."""

    kind: Literal["token_cutoff"]
    rate: Fraction = 0.05
    delete: bool = False


class SpanMask(Section):
    """ArcCSE §3.3: one span of `near` of the tokens masked, then grown to `far` around it."""

    kind: Literal["span_mask"]
    near: Fraction = 0.2
    far: Fraction = 0.4

    @model_validator(mode="after")
    def _nested(self) -> Self:
        if self.near >= self.far:
            raise ValueError(f"near ({self.near}) must be below far ({self.far})")
        return self


View = Annotated[Identity | WordRepetition | TokenShuffle | TokenCutoff | SpanMask, Field(discriminator="kind")]


def view_columns(name: str, view: View) -> list[str]:
    """The columns of a view with tokens: a span mask has two."""
    return [f"{name}_near", f"{name}_far"] if isinstance(view, SpanMask) else [name]


class Augmentation(Section):
    """`max_length` is in tokens, special ones included; a sentence is cut to it before any view is made.

    Sentences are tokenised once, by the view of kind `identity`, and all others are made from it.
    """

    max_length: Annotated[int, Field(ge=4)] = 32
    views: dict[Name, View]

    @property
    def identity(self) -> str:
        """Name of the view of kind `identity`."""
        return next(name for name, view in self.views.items() if view.kind == "identity")

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if sum(view.kind == "identity" for view in self.views.values()) != 1:
            raise ValueError("views needs exactly one of kind identity: the others are made from it")
        return self
