"""Suite `tuples`: NLI- and STS-pattern tuples, their levels in order, and that training does not see the STS tasks.

What synthesis filters row by row is judged here once more, by measures of its own, as shares of all rows.
"""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import great_expectations.expectations as gxe
import pandas as pd

from components.config import Params
from components.config.validation import NliSuite, SetSuite, TripletSuite
from components.errors import DataError
from components.graph.plan import Demand
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
    """What the suite reads: the demanded patterns with what synthesis counted, and the STS tasks, whose sentences must
    not be among their texts.

    Raises:
        DataError: there is no STS task.
    """
    made = [TUPLES / f"{pattern}.{end}" for pattern in _demanded(params) for end in ("parquet", "json")]
    return [*made, *sts.tasks()] if made else []


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then pattern by pattern its synthesis, its tuples, and its texts whatever their role; or none."""
    patterns = _demanded(params)
    if not patterns:
        return
    known = yield from schemas({pattern: TUPLES / f"{pattern}.parquet" for pattern in patterns})
    limits = params.validation.tuples
    for pattern, roles in patterns.items():
        path = TUPLES / f"{pattern}.parquet"
        counts = _counts(pattern)
        yield _of_synthesis(pattern, counts, params)
        whole = gxe.ExpectTableRowCountToEqual(
            value=counts.accepted, description=f"there are {counts.accepted} tuples, as synthesis counted"
        )
        order = _order(params) if pattern == "sts" else []
        yield from of_tuples(pattern, path, roles, known, limits, params, more=[whole, *order])


def schemas(
    files: Mapping[str, Path], more: Mapping[str, Sequence[str]] | None = None
) -> Generator[Suite, None, set[str]]:
    """The schemas of files of tuples, by name, and of the STS tasks; returns the sentences of those, to be kept out.

    `more` names the columns of text that some have behind those of all.
    """
    for name, path in files.items():
        yield schema_suite(name, path, TYPES | dict.fromkeys((more or {}).get(name, ()), "str"))
    tasks = sts.tasks()
    for path in tasks:
        yield sts.schema(path)
    return sts.sentences(tasks)


def _demanded(params: Params) -> dict[str, list[str]]:
    """Of the patterns, those that a variant of the experiment trains on; the files of others hold no tuple."""
    demanded = Demand.of(params).tuples
    return {pattern: roles for pattern, roles in PATTERNS.items() if pattern in demanded}


def of_tuples(
    name: str,
    path: Path,
    roles: list[str],
    known: set[str],
    limits: TripletSuite,
    params: Params,
    more: Sequence[gxe.Expectation] = (),
) -> Iterator[Suite]:
    """The tuples of a file, and its texts.

    Args:
        roles: the columns that its rows fill.
        known: the sentences of evaluation tasks, as `normal` has them.
        more: what else is expected, of `shorter` and `nearer` too, the intermediate's measures.
    """
    columns = [*ROLES, *(role for role in roles if role not in ROLES)]
    frame = read_columns(path, [*columns, "provenance"])
    levels = tuple(f"{role}_apart" for role in roles[1:])
    expectations = [*_of_rows(roles, limits), *more]
    yield Suite(name, _measured(frame, roles), expectations, shown=columns, watched=levels, levels=levels)
    yield Suite(
        f"{name}: texts",
        _texts(frame[columns], known, limits),
        _of_texts(limits, params.corpus.language),
        shown=["role", "text"],
        watched=("words",),
        vocabulary=True,
    )


class Counts(NamedTuple):
    """What synthesis counted: answers asked for, those rejected by reason, and tuples accepted."""

    asked: int
    rejected: dict[str, int]
    accepted: int


def _counts(pattern: str) -> Counts:
    path = TUPLES / f"{pattern}.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        rejected = {str(reason): int(count) for reason, count in told["rejected"].items()}
        return Counts(int(told["asked"]), rejected, int(told["accepted"]))
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run `dvc repro`") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no counts of synthesis ({error!r}); run `dvc repro`") from None


def _of_synthesis(pattern: str, counts: Counts, params: Params) -> Suite:
    """A row for each reason to reject an answer."""
    share = params.validation.tuples.max_rejected
    reasons = pd.DataFrame({"reason": list(counts.rejected), "answers": list(counts.rejected.values())})
    reasons["share"] = reasons["answers"] / max(counts.asked, 1)
    told = ", ".join(f"{reason} {count}" for reason, count in counts.rejected.items()) or "none"
    whole = gxe.ExpectColumnSumToBeBetween(
        column="share",
        max_value=share,
        description=f"at most {share:.4g} (max_rejected) of the {counts.asked} answers were rejected ({told})",
    )
    return Suite(f"{pattern}: synthesis", reasons, [whole], shown=["reason", "answers"])


def _measured(frame: pd.DataFrame, roles: list[str]) -> pd.DataFrame:
    """The tuples with what their texts are to each other; a measure of a null text is null, or false for `alike`."""
    texts = pd.DataFrame({role: frame[role].map(normal) for role in {*ROLES, *roles}}).astype(object)
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
        **{f"{role}_apart": values for role, values in apart.items()},
    }
    if {"intermediate", "negative"} <= set(roles):
        measures["shorter"] = [
            None if anchor is None or text is None else len(text.split()) < len(anchor.split())
            for anchor, text in zip(texts["anchor"], texts["intermediate"], strict=True)
        ]
        measures["nearer"] = [
            None if near is None or far is None else near < far
            for near, far in zip(apart["intermediate"], apart["negative"], strict=True)
        ]
    return frame.assign(**measures)


def _of_rows(roles: list[str], limits: TripletSuite) -> list[gxe.Expectation]:
    kinds: dict[type, str] = {SetSuite: "sets", NliSuite: "nli"}
    key = f"validation.{kinds.get(type(limits), 'tuples')}"
    expectations: list[gxe.Expectation] = [
        gxe.ExpectTableRowCountToBeBetween(
            min_value=limits.min_rows, description=f"there are at least {limits.min_rows} tuples ({key}.min_rows)"
        ),
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"no {column} is null")
            for column in [*roles, "provenance"]
        ),
        gxe.ExpectColumnValuesToBeUnique(
            column="normal",
            mostly=1 - limits.max_duplicates,
            description=f"{_at_most(limits.max_duplicates)} of the anchors is another's too, case and white space "
            "aside",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="alike",
            value_set=[False],
            mostly=1 - limits.max_copies,
            description=f"in {_at_most(limits.max_copies)} of the tuples are two texts the same, case and white space "
            "aside",
        ),
    ]
    if "positive" in roles:
        # Nothing of the kind is asked of the negative, since one word contradicts: "the abbey was not founded in 1098".
        near = gxe.ExpectColumnValuesToBeBetween(
            column="positive_apart",
            min_value=limits.min_match_error_rate,
            mostly=1 - limits.max_near_copies,
            description=f"at most {limits.max_near_copies:.4g} of the positives are near copies of their anchors: "
            f"match error rate below {limits.min_match_error_rate:g}",
        )
        expectations.append(near)
    nulls = [
        gxe.ExpectColumnValuesToBeNull(column=role, description=f"every {role} is null")
        for role in ROLES
        if role not in roles
    ]
    # No order by words of an NLI triplet: what is entailed shares no more of them with its anchor than what contradicts
    # it does, which is why such triplets are worth training on.
    return [*expectations, *nulls]


def _at_most(share: float) -> str:
    return f"at most {share:.4g}" if share else "none"


def _order(params: Params) -> list[gxe.Expectation]:
    limits = params.validation.tuples
    return [
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


def _texts(frame: pd.DataFrame, known: set[str], limits: TripletSuite) -> pd.DataFrame:
    texts = frame.melt(var_name="role", value_name="text").dropna(ignore_index=True)
    add_measures(texts, limits.language_rows)
    texts["in_sts"] = texts["normal"].isin(known)
    return texts


def _of_texts(limits: TripletSuite, language: str) -> list[gxe.Expectation]:
    leakage = gxe.ExpectColumnValuesToBeInSet(
        column="in_sts",
        value_set=[False],
        mostly=1 - limits.max_leakage,
        description=f"at most {limits.max_leakage:.4g} of the texts are a sentence of an evaluation task",
    )
    shared = text_expectations(limits.min_words, limits.max_words, limits.max_residue, language, limits.max_foreign)
    return [*shared, leakage]
