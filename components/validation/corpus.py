"""Suite `corpus`: sentences of the training and held-out splits."""

from collections.abc import Iterator
from pathlib import Path

import great_expectations.expectations as gxe
import pandas as pd

from components.config import Params
from components.paths import CORPUS
from components.validation.suite import Suite, add_measures, read_columns, schema_suite, text_expectations

TRAIN, HELDOUT = CORPUS / "train.parquet", CORPUS / "heldout.parquet"
TYPES = {"id": "int64", "text": "str", "page": "str"}


def files(params: Params) -> list[Path]:
    """What the suite reads."""
    return [TRAIN, HELDOUT]


def suites(params: Params) -> Iterator[Suite]:
    """Both schemas, then the rows of one split at a time."""
    yield schema_suite("train", TRAIN, TYPES)
    yield schema_suite("heldout", HELDOUT, TYPES)
    train = _rows(TRAIN, params)
    known = set(train["normal"].dropna())
    yield _suite(
        "train", train, _expectations(params, params.validation.corpus.min_rows, " (validation.corpus.min_rows)")
    )
    del train
    heldout = _rows(HELDOUT, params)
    heldout["in_train"] = heldout["normal"].isin(known)
    disjoint = gxe.ExpectColumnValuesToBeInSet(
        column="in_train", value_set=[False], description="no held-out sentence is a training sentence"
    )
    yield _suite("heldout", heldout, [*_expectations(params, 1), disjoint])


def _suite(split: str, rows: pd.DataFrame, expectations: list[gxe.Expectation]) -> Suite:
    return Suite(split, rows, expectations, shown=["id", "text"], watched=("words",), vocabulary=True)


def _rows(path: Path, params: Params) -> pd.DataFrame:
    frame = read_columns(path, ["id", "text"])
    add_measures(frame, params.validation.corpus.language_rows)
    return frame


def _expectations(params: Params, min_rows: int, key: str = "") -> list[gxe.Expectation]:
    corpus, limits = params.corpus, params.validation.corpus
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=min_rows, description=f"there are at least {min_rows} rows{key}"),
        gxe.ExpectColumnValuesToNotBeNull(column="id", description="no id is null"),
        gxe.ExpectColumnValuesToBeUnique(column="id", description="every id is another"),
        gxe.ExpectColumnValuesToNotBeNull(column="text", description="no text is null"),
        gxe.ExpectColumnValuesToBeUnique(
            column="normal", description="every text is another, case and white space aside"
        ),
        *text_expectations(corpus.min_words, corpus.max_words, limits.max_residue, corpus.language, limits.max_foreign),
    ]
