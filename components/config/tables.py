"""A table that users bring: which files of a source it is, and where its columns stand."""

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Section

Place = Annotated[str, Field(min_length=1)] | PositiveInt  # of a column: its name, or its number from 1


class Table(Section):
    """Rows of CSV, TSV, JSON Lines, Parquet or plain text; a subclass says which columns it takes, by its `places`.

    `source` is an entry of `sources`. Where that is a folder of several files, `file` is the one to read, a path in it
    that may hold `*` for the shards of one table; of a hub dataset `config` and `split` choose instead. Columns are
    named, or numbered from 1; `header` says whether the first line of a CSV or TSV file names them (default: yes where
    a column is named, no where all are numbered). `where` keeps the rows that have these values alone.
    """

    source: str
    file: Annotated[str, Field(pattern=r"^[^/].*$")] | None = None
    config: Annotated[str, Field(min_length=1)] | None = None
    split: Annotated[str, Field(min_length=1)] | None = None
    header: bool | None = None
    where: dict[str, str | int | float | bool] = {}

    @property
    def places(self) -> list[Place]:
        """All columns that it takes, those of `where` aside."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.file is not None and (self.config is not None or self.split is not None):
            raise ValueError("file and config or split choose the same thing: leave one of them out")
        numbered = all(isinstance(place, int) for place in self.places)
        if self.header is False and not numbered:
            raise ValueError("header: a file without a header has no names: number its columns from 1")
        if self.where and numbered and not self.header:
            raise ValueError("where: a file whose columns are numbered has no names to choose rows by; see header")
        return self
