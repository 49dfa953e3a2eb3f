"""What a kind of data set is made of for Great Expectations: tables, and what is expected of each.

A check that Great Expectations lacks is a column computed here plus one of its standard expectations on it, so that
every verdict is its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import great_expectations.expectations as gxe
import pandas as pd
import py3langid
import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import DataError
from components.text import normal as plain

# Of MediaWiki and HTML; written apart from the corpus stage's own filter, which it is there to watch.
RESIDUE = r"\[\[|\]\]|\{\{|\}\}|\||==|''|<ref|</|https?:|\bthumb\b|Category:|File:|&\w+;"


class Suite(NamedTuple):
    """A table and what is expected of it; each expectation's description is unique within its suite.

    Attributes:
        name: said with every outcome.
        frame: the rows, with no more columns than needed.
        expectations: in the order of the report.
        shown: columns by which a row that fails is shown.
        fatal: nothing after it is looked at if it fails.
        watched: columns of numbers whose distribution must not drift.
        levels: those of `watched` whose mean must not either.
        vocabulary: the same of the words in `normal`, which `add_measures` made.
    """

    name: str
    frame: pd.DataFrame
    expectations: list[gxe.Expectation]
    shown: list[str]
    fatal: bool = False
    watched: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    vocabulary: bool = False


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
    """A text's plain form, by which it is compared; None for what is no text."""
    return plain(text) if isinstance(text, str) else None


def add_measures(frame: pd.DataFrame, language_rows: int) -> None:
    """Give a frame that has `text` the columns `normal`, `words` and `language`, for `text_expectations`."""
    frame["normal"] = frame["text"].map(normal)
    frame["words"] = frame["normal"].map(lambda text: len(text.split()), na_action="ignore")
    # Telling a language takes 0.1 ms a sentence: evenly spaced rows stand for all of a large corpus.
    step = -(-len(frame) // language_rows) or 1
    frame["language"] = frame["text"][::step].map(lambda text: py3langid.classify(text)[0], na_action="ignore")


def text_expectations(
    min_words: int, max_words: int, max_residue: float, language: str, max_foreign: float
) -> list[gxe.Expectation]:
    """Length in words, markup that is left, language: of every kind of text that training reads."""
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="words",
            min_value=min_words,
            max_value=max_words,
            description=f"a text has {min_words} to {max_words} words",
        ),
        gxe.ExpectColumnValuesToNotMatchRegex(
            column="text",
            regex=RESIDUE,
            mostly=1 - max_residue,
            description=f"markup is left in at most {max_residue:.4g} of the texts",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="language",
            value_set=[language],
            mostly=1 - max_foreign,
            description=f"at most {max_foreign:.4g} of the texts are told to be in another language than {language}",
        ),
    ]
