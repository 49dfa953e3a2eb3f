"""Section `promotion`: the gate's rules."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.config.base import Fraction, Positive, Section


class Floor(Section):
    """`metric` of the candidate is at least `minimum`."""

    rule: Literal["floor"]
    metric: str
    minimum: float


class Gain(Section):
    """The STS average exceeds the reference's by at least `minimum` (×100), and not by luck with the pairs: the gain
    is above 0 in a share `confidence` of `resamples` paired bootstrap resamples."""

    rule: Literal["gain"]
    minimum: float = 0.0
    confidence: Fraction = 0.95
    resamples: Positive = 10_000


class Regression(Section):
    """No STS task falls below the reference's score by more than `maximum` (×100)."""

    rule: Literal["regression"]
    maximum: Annotated[float, Field(ge=0)]


class Validations(Section):
    """Every data set that the candidate was trained and measured on has passed its suite."""

    rule: Literal["validations"]


class Bounds(Section):
    """`metric` of the candidate lies in [minimum, maximum]."""

    rule: Literal["bounds"]
    metric: str
    minimum: float
    maximum: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum ({self.minimum}) is above maximum ({self.maximum})")
        return self


Rule = Annotated[Floor | Gain | Regression | Validations | Bounds, Field(discriminator="rule")]


class Promotion(Section):
    """`model` is the registered model whose alias `champion` moves."""

    model: str = "cse-encoder"
    rules: Annotated[list[Rule], Field(min_length=1)]
