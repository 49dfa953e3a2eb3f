"""Section `sets`: pairs and tuples that others made, in files and columns of their own."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Section

Role = Literal["anchor", "positive", "intermediate", "negative"]
Place = Annotated[str, Field(min_length=1)] | PositiveInt


class TupleSet(Section):
    """A set that a variant takes as `sets/<name>`; `source` is an entry of `sources`.

    `file` is the one to read where the source is a folder, as a path in it: .csv, .tsv, .jsonl (each also .gz) or
    .parquet. `columns` says which of its columns an anchor, a positive, … stands in: by name, or by number from 1 in a
    CSV or TSV file without a header. `where` keeps the rows that have these values alone. `unique` takes each anchor
    once, the last row that has it, since an anchor twice in a batch is its own negative.
    """

    source: str
    file: Annotated[str, Field(pattern=r"^[^/].*$")] | None = None
    columns: dict[Role, Place]
    where: dict[str, str | int | float | bool] = {}
    unique: bool = True

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        for role in ("anchor", "positive"):
            if role not in self.columns:
                raise ValueError(f"columns: name the column of the {role}")
        if len({isinstance(place, int) for place in self.columns.values()}) > 1:
            raise ValueError("columns: name all by their header, or number all of a file without one")
        if self.where and self.numbered:
            raise ValueError("where: a file whose columns are numbered has no names to choose rows by")
        return self

    @property
    def numbered(self) -> bool:
        """Whether its columns are told by number, of a file without a header."""
        return isinstance(self.columns["anchor"], int)
