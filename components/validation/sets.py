"""Suite `sets`: pairs and tuples that others made; without any there is nothing to judge."""

from collections.abc import Iterator
from pathlib import Path

from components.config import Params
from components.graph.plan import Demand
from components.paths import SETS
from components.validation import sts
from components.validation.suite import Suite
from components.validation.tuples import ROLES, of_tuples, schemas


def files(params: Params) -> list[Path]:
    """What the suite reads: the sets that are trained on, and the STS tasks, whose sentences must not be in them."""
    made = [SETS / f"{name}.parquet" for name in Demand.of(params).sets]
    return [*made, *sts.tasks()] if made else []


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then set by set its tuples, and their texts whatever their role; none without a set."""
    names = Demand.of(params).sets
    if not names:
        return
    made = {name: SETS / f"{name}.parquet" for name in names}
    known = yield from schemas(made)
    for name, path in made.items():
        roles: list[str] = [role for role in ROLES if role in params.sets[name].columns]
        yield from of_tuples(name, path, roles, known, params.validation.sets, params)
