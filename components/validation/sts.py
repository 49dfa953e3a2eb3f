"""Suite `sts`: sentence pairs with gold scores, and that training does not see them."""

from collections.abc import Iterator
from pathlib import Path

import great_expectations.expectations as gxe
import pyarrow.parquet as pq

from components.config import Params
from components.errors import DataError
from components.paths import CORPUS, STS
from components.validation.suite import Suite, normal, read_columns, schema_suite

TRAIN = CORPUS / "train.parquet"
TYPES = {"first": "str", "second": "str", "score": "float64"}
SUBSET = {"subset": "str"}  # STS12 to STS16 say which of their sets a pair is of
LOWEST = {"SICKR": 1.0}  # relatedness goes from 1 to 5, similarity from 0 to 5


def files(params: Params) -> list[Path]:
    """What the suite reads: every STS task, and the training sentences that must not be among its sentences.

    Raises:
        DataError: there is no STS task.
    """
    return [*_tasks(), TRAIN]


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then task by task, then the training sentences."""
    tasks = _tasks()
    for path in tasks:
        subset = SUBSET if "subset" in pq.ParquetFile(path).schema_arrow.names else {}
        yield schema_suite(path.stem, path, TYPES | subset)
    yield schema_suite("leakage", TRAIN, {"id": "int64", "text": "str", "page": "str"})
    known = set()
    for path in tasks:
        frame = read_columns(path, list(TYPES))
        known |= {normal(text) for side in ("first", "second") for text in frame[side]}
        yield Suite(path.stem, frame, _expectations(path.stem, params), shown=list(TYPES))
    known.discard(None)
    share = params.validation.sts.max_leakage
    train = read_columns(TRAIN, ["text"])
    train["in_sts"] = [normal(text) in known for text in train["text"]]
    leakage = gxe.ExpectColumnValuesToBeInSet(
        column="in_sts",
        value_set=[False],
        mostly=1 - share,
        description=f"at most {share:.4g} of the training sentences are an STS sentence",
    )
    yield Suite("leakage", train, [leakage], shown=["text"])


def _tasks() -> list[Path]:
    tasks = sorted(STS.glob("*.parquet"))
    if not tasks:
        raise DataError(f"{STS} holds no STS task; run `dvc repro sts`")
    return tasks


def _expectations(task: str, params: Params) -> list[gxe.Expectation]:
    published = params.validation.sts.rows.get(task)
    lowest = LOWEST.get(task, 0.0)
    count = (
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="there is a pair")
        if published is None
        else gxe.ExpectTableRowCountToEqual(value=published, description=f"there are {published} pairs, as published")
    )
    filled = [gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"no {column} is null") for column in TYPES]
    worded = [
        gxe.ExpectColumnValuesToMatchRegex(column=column, regex=r"\S", description=f"no {column} sentence is empty")
        for column in ("first", "second")
    ]
    scored = gxe.ExpectColumnValuesToBeBetween(
        column="score", min_value=lowest, max_value=5.0, description=f"a score is from {lowest:g} to 5"
    )
    return [count, *filled, *worded, scored]
