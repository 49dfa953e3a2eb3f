"""Suite `nli`: triplets that people wrote, from the source `nli`; without that source there is nothing to judge."""

from collections.abc import Iterator
from pathlib import Path

from components.config import Params
from components.paths import NLI
from components.validation import sts
from components.validation.suite import Suite
from components.validation.tuples import PATTERNS, of_tuples, schemas

TRAIN = NLI / "train.parquet"


def files(params: Params) -> list[Path]:
    """What the suite reads: the triplets, and the STS tasks whose sentences must not be among their texts."""
    return [TRAIN, *sts.tasks()] if TRAIN.is_file() else []


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then the triplets, and their texts whatever their role; none without triplets."""
    if not TRAIN.is_file():
        return
    known = yield from schemas({"nli": TRAIN})
    yield from of_tuples("nli", TRAIN, PATTERNS["nli"], known, params.validation.nli, params)
