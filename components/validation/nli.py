"""Suite `nli`: triplets that people wrote, from the source `nli`; without that source there is nothing to judge."""

from collections.abc import Iterator
from pathlib import Path

from components.config import Params
from components.paths import NLI
from components.validation import sts
from components.validation.suite import Suite, schema_suite
from components.validation.tuples import PATTERNS, TYPES, of_tuples

TRAIN = NLI / "train.parquet"


def files(params: Params) -> list[Path]:
    """What the suite reads: the triplets, and the STS tasks whose sentences must not be among their texts."""
    return [TRAIN, *sts.tasks()] if TRAIN.is_file() else []


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then the triplets, and their texts whatever their role; none without triplets."""
    if not TRAIN.is_file():
        return
    yield schema_suite("nli", TRAIN, TYPES)
    tasks = sts.tasks()
    for path in tasks:
        yield sts.schema(path)
    yield from of_tuples("nli", TRAIN, PATTERNS["nli"], sts.sentences(tasks), params.validation.nli, params)
