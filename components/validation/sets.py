"""Suite `sets`: pairs and tuples that others made, by their own roles; without any there is nothing to judge."""

from collections.abc import Iterator
from pathlib import Path

from components.config import Params
from components.evaluation.transfer import transfer_sentences
from components.graph.plan import Demand
from components.paths import SETS, SOURCES
from components.validation import sts
from components.validation.suite import Suite
from components.validation.tuples import ROLES, of_tuples, schemas


def files(params: Params) -> list[Path]:
    """What the suite reads: the sets that are trained on, and the STS tasks, whose sentences must not be in them."""
    made = [SETS / f"{name}.parquet" for name in Demand.of(params).sets]
    return [*made, *sts.tasks()] if made else []


def suites(params: Params) -> Iterator[Suite]:
    """All schemas, then set by set its tuples, and their texts whatever their role; none without a set.

    No text may be a sentence of an STS or transfer task.
    """
    names = Demand.of(params).sets
    if not names:
        return
    roles = {name: params.sets[name].roles for name in names}
    own = {name: [role for role in each if role not in ROLES] for name, each in roles.items()}
    known = yield from schemas({name: SETS / f"{name}.parquet" for name in names}, own)
    known |= transfer_sentences({task: SOURCES / source for task, source in params.evaluation.transfer.items()})
    for name in names:
        yield from of_tuples(name, SETS / f"{name}.parquet", roles[name], known, params.validation.sets, params)
