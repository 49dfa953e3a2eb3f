"""What a kind of data set is made of for Great Expectations: tables, and what is expected of each.

A check that Great Expectations lacks is a column computed here plus one of its standard expectations on it, so that
every verdict is its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import great_expectations.expectations as gxe
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import DataError


class Suite(NamedTuple):
    """A table and what is expected of it; each expectation's description is unique within its suite.

    Attributes:
        name: said with every outcome.
        frame: the rows, with no more columns than needed.
        expectations: in the order of the report.
        shown: columns by which a row that fails is shown.
        fatal: nothing after it is looked at if it fails.
    """

    name: str
    frame: pd.DataFrame
    expectations: list[gxe.Expectation]
    shown: list[str]
    fatal: bool = False


def schema_suite(name: str, path: Path, types: Mapping[str, str]) -> Suite:
    """Columns of a Parquet file in order, with their pandas types (`str`, `int64`, `float64`); reads no row.

    Raises:
        DataError: the file is missing or no Parquet.
    """
    try:
        empty = pq.read_schema(path).empty_table().to_pandas(ignore_metadata=True)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run `dvc repro`") from None
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is no whole Parquet file ({error}); remove it and run `dvc repro`") from None
    columns = gxe.ExpectTableColumnsToMatchOrderedList(
        column_list=list(types), description=f"the columns are {', '.join(types)}"
    )
    typed = [
        gxe.ExpectColumnValuesToBeOfType(column=column, type_=kind, description=f"{column} is {kind}")
        for column, kind in types.items()
    ]
    return Suite(f"{name}: schema", empty, [columns, *typed], shown=[], fatal=True)


def read_columns(path: Path, columns: list[str]) -> pd.DataFrame:
    """These columns alone, so that a large corpus does not fill the memory with what no check looks at."""
    frame: pd.DataFrame = pq.read_table(path, columns=columns).to_pandas(ignore_metadata=True)
    return frame


def normal(text: object) -> str | None:
    """Case and white space away: what two sentences are compared by. None for what is no text."""
    return " ".join(text.casefold().split()) if isinstance(text, str) else None
