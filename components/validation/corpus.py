"""Suite `corpus`: sentences of the training and held-out splits."""

from collections.abc import Iterator
from pathlib import Path

import great_expectations.expectations as gxe
import pandas as pd
import py3langid

from components.config import Params
from components.paths import CORPUS
from components.validation.suite import Suite, normal, read_columns, schema_suite

TRAIN, HELDOUT = CORPUS / "train.parquet", CORPUS / "heldout.parquet"
TYPES = {"id": "int64", "text": "str", "page": "str"}
# Of MediaWiki and HTML; written apart from the corpus stage's own filter, which it is there to watch.
RESIDUE = r"\[\[|\]\]|\{\{|\}\}|\||==|''|<ref|</|https?:|\bthumb\b|Category:|File:|&\w+;"


def files(params: Params) -> list[Path]:
    """What the suite reads."""
    return [TRAIN, HELDOUT]


def suites(params: Params) -> Iterator[Suite]:
    """Both schemas, then the rows of one split at a time."""
    yield schema_suite("train", TRAIN, TYPES)
    yield schema_suite("heldout", HELDOUT, TYPES)
    train = _rows(TRAIN, params)
    known = set(train["normal"].dropna())
    yield Suite("train", train, _expectations(params, params.validation.corpus.min_rows), shown=["id", "text"])
    del train
    heldout = _rows(HELDOUT, params)
    heldout["in_train"] = heldout["normal"].isin(known)
    disjoint = gxe.ExpectColumnValuesToBeInSet(
        column="in_train", value_set=[False], description="no held-out sentence is a training sentence"
    )
    yield Suite("heldout", heldout, [*_expectations(params, 1), disjoint], shown=["id", "text"])


def _rows(path: Path, params: Params) -> pd.DataFrame:
    frame = read_columns(path, ["id", "text"])
    frame["normal"] = frame["text"].map(normal)
    frame["words"] = frame["normal"].map(lambda text: len(text.split()), na_action="ignore")
    # Telling a language takes 0.1 ms a sentence: evenly spaced rows stand for all of a large corpus.
    step = -(-len(frame) // params.validation.corpus.language_rows) or 1
    frame["language"] = frame["text"][::step].map(lambda text: py3langid.classify(text)[0], na_action="ignore")
    return frame


def _expectations(params: Params, min_rows: int) -> list[gxe.Expectation]:
    corpus, limits = params.corpus, params.validation.corpus
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=min_rows, description=f"there are at least {min_rows} rows"),
        gxe.ExpectColumnValuesToNotBeNull(column="id", description="no id is null"),
        gxe.ExpectColumnValuesToBeUnique(column="id", description="every id is another"),
        gxe.ExpectColumnValuesToNotBeNull(column="text", description="no text is null"),
        gxe.ExpectColumnValuesToBeUnique(
            column="normal", description="every text is another, case and white space aside"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="words",
            min_value=corpus.min_words,
            max_value=corpus.max_words,
            description=f"a text has {corpus.min_words} to {corpus.max_words} words",
        ),
        gxe.ExpectColumnValuesToNotMatchRegex(
            column="text",
            regex=RESIDUE,
            mostly=1 - limits.max_residue,
            description=f"markup is left in at most {limits.max_residue:.4g} of the texts",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="language",
            value_set=[corpus.language],
            mostly=1 - limits.max_foreign,
            description=f"at most {limits.max_foreign:.4g} of the texts are told to be in another language "
            f"than {corpus.language}",
        ),
    ]
