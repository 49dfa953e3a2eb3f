"""Suite `tuples`: NLI- and STS-pattern tuples, their levels in order, and that training does not see the STS tasks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import great_expectations.expectations as gxe
import pandas as pd

from components.config import Params
from components.paths import TUPLES
from components.text import match_error_rate
from components.validation import sts
from components.validation.suite import (
    Suite,
    add_measures,
    normal,
    read_columns,
    schema_suite,
    text_expectations,
)

ROLES = ["anchor", "positive", "intermediate", "negative"]
TYPES = dict.fromkeys([*ROLES, "provenance"], "str")
PATTERNS = {"nli": ["anchor", "positive", "negative"], "sts": ROLES}  # file: the roles that its rows fill


def files(params: Params) -> list[Path]:
    """What the suite reads: both patterns, and the STS tasks whose sentences must not be among their texts.

    Raises:
        DataError: there is no STS task.
    """
    return [*(TUPLES / f"{pattern}.parquet" for pattern in PATTERNS), *sts.tasks()]


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then pattern by pattern its tuples, and its texts whatever their role."""
    for pattern in PATTERNS:
        yield schema_suite(pattern, TUPLES / f"{pattern}.parquet", TYPES)
    tasks = sts.tasks()
    for path in tasks:
        yield sts.schema(path)
    known = sts.sentences(tasks)
    for pattern, roles in PATTERNS.items():
        frame = read_columns(TUPLES / f"{pattern}.parquet", list(TYPES))
        yield Suite(pattern, _measured(frame, roles), _of_tuples(roles, params), shown=ROLES)
        yield Suite(f"{pattern}: texts", _texts(frame, known, params), _of_texts(params), shown=["role", "text"])


def _measured(frame: pd.DataFrame, roles: list[str]) -> pd.DataFrame:
    """The tuples with what their texts are to each other; a measure of a null text is null, or false for `alike`."""
    texts = pd.DataFrame({role: frame[role].map(normal) for role in ROLES}).astype(object)
    texts = texts.where(texts.notna(), None)
    filled = [[text for text in row if text is not None] for row in texts[roles].to_numpy()]
    apart = {
        role: [
            None if first is None or second is None else match_error_rate(first, second)
            for first, second in zip(texts["anchor"], texts[role], strict=True)
        ]
        for role in roles[1:]
    }
    measures: dict[str, Any] = {
        "normal": texts["anchor"],
        "alike": [len(set(row)) < len(row) for row in filled],
        "positive_apart": apart["positive"],
    }
    if "intermediate" in roles:
        measures["shorter"] = [
            None if anchor is None or text is None else len(text.split()) < len(anchor.split())
            for anchor, text in zip(texts["anchor"], texts["intermediate"], strict=True)
        ]
        measures["nearer"] = [
            None if near is None or far is None else near < far
            for near, far in zip(apart["intermediate"], apart["negative"], strict=True)
        ]
    return frame.assign(**measures)


def _of_tuples(roles: list[str], params: Params) -> list[gxe.Expectation]:
    limits = params.validation.tuples
    expectations = [
        gxe.ExpectTableRowCountToBeBetween(
            min_value=limits.min_rows, description=f"there are at least {limits.min_rows} tuples"
        ),
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"no {column} is null")
            for column in [*roles, "provenance"]
        ),
        gxe.ExpectColumnValuesToBeUnique(
            column="normal", description="every anchor is another, case and white space aside"
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="alike",
            value_set=[False],
            description="no two texts of a tuple are the same, case and white space aside",
        ),
        # Nothing of the kind is asked of the negative, since one word contradicts: "the abbey was not founded in 1098".
        gxe.ExpectColumnValuesToBeBetween(
            column="positive_apart",
            min_value=limits.min_match_error_rate,
            description=f"a positive is no near copy of its anchor: match error rate {limits.min_match_error_rate:g} "
            "or more",
        ),
    ]
    if "intermediate" not in roles:
        # No order by words here: what is entailed shares no more of them with its anchor than what contradicts it does
        # (in the tuples written by hand a mean match error rate of 0.89, and of 0.84), which is why they are worth
        # training on.
        null = gxe.ExpectColumnValuesToBeNull(column="intermediate", description="every intermediate is null")
        return [*expectations, null]
    return [
        *expectations,
        gxe.ExpectColumnValuesToBeInSet(
            column="shorter", value_set=[True], description="an intermediate has fewer words than its anchor"
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="nearer",
            value_set=[True],
            mostly=1 - limits.max_disorder,
            description=f"in at most {limits.max_disorder:.4g} of the tuples the intermediate is no nearer to the "
            "anchor, by match error rate, than the negative",
        ),
    ]


def _texts(frame: pd.DataFrame, known: set[str], params: Params) -> pd.DataFrame:
    texts = frame[ROLES].melt(var_name="role", value_name="text").dropna(ignore_index=True)
    add_measures(texts, params.validation.tuples.language_rows)
    texts["in_sts"] = texts["normal"].isin(known)
    return texts


def _of_texts(params: Params) -> list[gxe.Expectation]:
    limits = params.validation.tuples
    leakage = gxe.ExpectColumnValuesToBeInSet(
        column="in_sts",
        value_set=[False],
        mostly=1 - limits.max_leakage,
        description=f"at most {limits.max_leakage:.4g} of the texts are an STS sentence",
    )
    shared = text_expectations(
        limits.min_words, limits.max_words, limits.max_residue, params.corpus.language, limits.max_foreign
    )
    return [*shared, leakage]
