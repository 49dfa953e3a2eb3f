"""Section `promotion`: the gate's rules."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Fraction, ModelName, Section


class Floor(Section):
    """`metric` of the candidate is at least `minimum`."""

    rule: Literal["floor"]
    metric: str
    minimum: float


class Gain(Section):
    """The STS average exceeds the reference's by at least `minimum` (×100) and is statistically significant: the
    two-sided interval that holds the gain with `confidence`, over `resamples` of a paired bootstrap, lies above 0.

    The leaderboard takes `confidence` and `resamples` from here too, and so does the rule `seeds`."""

    rule: Literal["gain"]
    minimum: float = 0.0
    confidence: Fraction = 0.95
    resamples: PositiveInt = 10_000


class Seeds(Section):
    """The mean over the candidate's seeds, of which there are at least `minimum_seeds`, exceeds that of the reference's
    seeds by at least `minimum_gain` (×100 in STS average), and the interval over seeds and pairs lies above 0.

    With one seed the interval is over pairs alone: the spread of the seeds is unknown."""

    rule: Literal["seeds"]
    minimum_seeds: PositiveInt = 1
    minimum_gain: float = 0.0


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


Rule = Annotated[Floor | Gain | Seeds | Regression | Validations | Bounds, Field(discriminator="rule")]


class Promotion(Section):
    """`model` is the registered model whose alias `champion` moves.

    Every rule is held against the encoder that would be promoted, `seeds` against the mean over all its seeds.
    """

    model: ModelName = "cse-encoder"
    rules: Annotated[list[Rule], Field(min_length=1)]

    @property
    def gain(self) -> Gain:
        """The rule `gain`, whose settings hold for every comparison; its defaults where there is none."""
        return next((rule for rule in self.rules if isinstance(rule, Gain)), Gain(rule="gain"))

    @model_validator(mode="after")
    def _once(self) -> Self:
        for kind in (Gain, Seeds):
            if sum(isinstance(rule, kind) for rule in self.rules) > 1:
                raise ValueError(f"rule {kind.__name__.lower()} is given twice")
        return self
