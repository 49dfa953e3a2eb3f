"""Suite `sets`: pairs and tuples that others made; without any there is nothing to judge."""

from collections.abc import Iterator
from pathlib import Path

from components.config import Params
from components.graph.plan import Demand
from components.paths import SETS
from components.validation import sts
from components.validation.suite import Suite, schema_suite
from components.validation.tuples import ROLES, TYPES, of_tuples


def files(params: Params) -> list[Path]:
    """What the suite reads: the sets that are trained on, and the STS tasks, whose sentences must not be in them."""
    made = [SETS / f"{name}.parquet" for name in Demand.of(params).sets]
    return [*made, *sts.tasks()] if made else []


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then set by set its tuples, and their texts whatever their role; none without a set."""
    names = Demand.of(params).sets
    if not names:
        return
    for name in names:
        yield schema_suite(name, SETS / f"{name}.parquet", TYPES)
    tasks = sts.tasks()
    for path in tasks:
        yield sts.schema(path)
    known = sts.sentences(tasks)
    for name in names:
        roles: list[str] = [role for role in ROLES if role in params.sets[name].columns]
        yield from of_tuples(name, SETS / f"{name}.parquet", roles, known, params.validation.sets, params)
