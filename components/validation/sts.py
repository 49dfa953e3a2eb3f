"""Suite `sts`: sentence pairs with gold scores, and that training does not see them."""

from collections.abc import Iterator
from pathlib import Path

import great_expectations.expectations as gxe
import pyarrow.parquet as pq

from components.config import Params
from components.errors import DataError
from components.evaluation.sts_data import HIGHEST, LOWEST
from components.paths import CORPUS, STS
from components.validation.suite import Suite, normal, read_columns, schema_suite

TRAIN = CORPUS / "train.parquet"
TYPES = {"first": "str", "second": "str", "score": "float64"}
SUBSET = {"subset": "str"}  # STS12 to STS16 say which of their sets a pair is of


def files(params: Params) -> list[Path]:
    """What the suite reads: every STS task, and the training sentences that must not be among its sentences.

    Raises:
        DataError: there is no STS task.
    """
    return [*tasks(), TRAIN]


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then task by task, then the training sentences."""
    paths = tasks()
    for path in paths:
        yield schema(path)
    yield schema_suite("leakage", TRAIN, {"id": "int64", "text": "str", "page": "str"})
    for path in paths:
        pairs = read_columns(path, list(TYPES))
        yield Suite(path.stem, pairs, _expectations(path.stem, params), shown=list(TYPES), watched=("score",))
    known = sentences(paths)
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


def tasks() -> list[Path]:
    """Every STS task there is, by name.

    Raises:
        DataError: there is none.
    """
    paths = sorted(STS.glob("*.parquet"))
    if not paths:
        raise DataError(f"{STS} holds no STS task; run `dvc repro sts`")
    return paths


def schema(path: Path) -> Suite:
    """A task's columns, with `subset` where there is one."""
    subset = SUBSET if "subset" in pq.ParquetFile(path).schema_arrow.names else {}
    return schema_suite(path.stem, path, TYPES | subset)


def sentences(paths: list[Path]) -> set[str]:
    """Both sentences of every pair, as `normal` has them: what training must not see."""
    frames = (read_columns(path, ["first", "second"]) for path in paths)
    texts = {normal(text) for frame in frames for side in ("first", "second") for text in frame[side]}
    return {text for text in texts if text is not None}


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
        column="score", min_value=lowest, max_value=HIGHEST, description=f"a score is from {lowest:g} to 5"
    )
    return [count, *filled, *worded, scored]
