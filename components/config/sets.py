"""Section `sets`: pairs and tuples that others made, or your own, in files and columns of their own."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from components.config.base import Section, Share
from components.config.tables import Place, Table


class Columns(Section):
    """Which column of the file plays which role; a row that lacks one of them is left out.

    `negatives` are several hard negatives of one anchor, `levels` go from most to least similar. Variants know these as
    negative_1, negative_2, … and level_1, level_2, …; the other roles by their own names. A set with an anchor alone
    is one of plain sentences, which a variant pairs with themselves.
    """

    anchor: Place
    positive: Place | None = None
    intermediate: Place | None = None
    negative: Place | None = None
    negatives: list[Place] = []
    levels: list[Place] = []

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.negative is not None and self.negatives:
            raise ValueError("negative and negatives are two ways to say one thing: take negatives for several")
        if len(self.levels) == 1:
            raise ValueError("levels: name at least two columns, from most to least similar")
        return self

    @property
    def roles(self) -> dict[str, Place]:
        """Column of the set that is made → column of the file, the anchor's first."""
        single = ("anchor", "positive", "intermediate", "negative")
        found = {role: place for role in single if (place := getattr(self, role)) is not None}
        found |= {f"level_{k}": place for k, place in enumerate(self.levels, 1)}
        return found | {f"negative_{k}": place for k, place in enumerate(self.negatives, 1)}


class Score(Section):
    """Keeps the rows whose number in `column` is at least `minimum`, such as pairs that are similar enough."""

    column: Place
    minimum: float


class Mining(Section):
    """Hard negatives that are found among the positives of other anchors, by a frozen encoder.

    `encoder` is an entry of `sources`, a sentence-transformers folder. Candidates are ranked by their cosine with the
    anchor; those from the first to before the second of `ranks` are taken into account, 0 being the nearest: a first
    rank above 0 passes over the likeliest false negatives. `margin`, a share of the positive's cosine, and `maximum`, a
    cosine, leave out more of them. `count` negatives are taken of what is left, the nearest or at random.
    """

    encoder: str
    count: PositiveInt = 1
    ranks: Annotated[list[NonNegativeInt], Field(min_length=2, max_length=2)] = [0, 50]
    margin: Share | None = None
    maximum: Annotated[float, Field(ge=-1, le=1)] | None = None
    sample: Literal["top", "random"] = "top"

    @model_validator(mode="after")
    def _enough(self) -> Self:
        least, most = self.ranks
        if most - least < self.count:
            raise ValueError(f"ranks: from {least} to before {most} there are no {self.count} candidates")
        return self


class TupleSet(Table):
    """A set that a variant takes as `sets/<name>`, from a table of its source.

    `unique` takes each anchor once, the last row that has it, and no row in which a text stands twice, case and white
    space aside. `leaks: drop` leaves out each row with a text that is a sentence of an evaluation task, of section
    `evaluation`; `keep` takes a published set as it is. `mine` adds the columns negative_1, negative_2, ….
    """

    columns: Columns
    score: Score | None = None
    unique: bool = True
    leaks: Literal["drop", "keep"] = "drop"
    mine: Mining | None = None

    @model_validator(mode="after")
    def _minable(self) -> Self:
        if self.mine is not None and (self.columns.positive is None or self.columns.negatives):
            raise ValueError("mine: it takes pairs of anchor and positive, without negatives of their own")
        return self

    @property
    def roles(self) -> list[str]:
        """The columns of the set that is made, the anchor's first."""
        mined = self.mine.count if self.mine else 0
        return [*self.columns.roles, *(f"negative_{k}" for k in range(1, mined + 1))]

    @property
    def places(self) -> list[Place]:
        """The columns of the file that it takes."""
        return [*self.columns.roles.values(), *([self.score.column] if self.score else [])]
