"""Which rows stand in which batch, for a whole training: fixed by the seed before the first step."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from components.config.training import Schedule
from components.config.variants import Part
from components.errors import ConfigError, DataError

Rows = NDArray[np.int64]
Plan = Sequence[NDArray[np.int64]]  # of each step its (part, row) pairs, (rows, 2), in the order of the parts


def rows_per_batch(parts: Sequence[Part], batch_size: int) -> list[int]:
    """How many rows each part has of its own in every batch; the one without `rows` takes what the others leave."""
    rest = batch_size - sum(part.rows or 0 for part in parts)
    return [rest if part.takes_rest else part.rows or 0 for part in parts]


def mean_rows(parts: Sequence[Part], rows: Sequence[Rows], training: Schedule) -> list[float]:
    """How many rows of each part a batch has on average; `rows` as in `batch_plan`."""
    own = rows_per_batch(parts, training.batch_size)
    first = len(rows[0][: training.sentences])
    mixed = first + sum(len(of) for part, of in zip(parts, rows, strict=True) if part.gather is not None)
    counts = [len(of) if part.gather is not None else None for part, of in zip(parts, rows, strict=True)]
    counts[0] = first
    return [
        each if count is None else own[0] * count / mixed for each, count in zip(map(float, own), counts, strict=True)
    ]


def batch_plan(parts: Sequence[Part], rows: Sequence[Rows], training: Schedule, seed: int) -> Plan:
    """The rows of every batch of a training, in order.

    The first part counts an epoch: each of its rows (a seeded sample of at most `training.sentences`) stands in one
    batch. Parts that gather are shuffled among its rows; what of them has been drawn waits until `gather` are together,
    beyond the end of an epoch too, and what still waits after the last is left out. Other parts go round. Each epoch or
    round is shuffled anew; a round, and an epoch where `training.drop_last` is set, ends with a whole batch, what is
    left over standing out of it. No row is twice in a batch, where it would be its own negative.

    Args:
        rows: for each part the rows that may be drawn.

    Raises:
        DataError: a part does not fill its share of one batch.
    """
    generator = np.random.default_rng(seed)
    first = generator.permutation(rows[0])[: training.sentences]
    per_batch = rows_per_batch(parts, training.batch_size)
    gathered = {number: part.gather for number, part in enumerate(parts) if part.gather is not None}
    for number, least in gathered.items():
        if len(rows[number]) < least:
            raise DataError(
                f"{parts[number].set}: {len(rows[number])} training rows never come to {least} together; lower "
                "`gather` of the part"
            )
    mixed = np.concatenate([_tagged(0, first), *(_tagged(number, rows[number]) for number in gathered)])
    batches = list(_mixture(mixed, per_batch[0], gathered, training, generator))
    if not batches:
        raise DataError(
            f"{len(mixed)} training rows do not fill one batch of {per_batch[0]}; lower training.batch_size"
        )
    columns = []
    for number, (available, count) in enumerate(zip(rows, per_batch, strict=True)):
        if number == 0 or not count:
            continue
        whole = len(available) // count
        if whole == 0:
            raise DataError(
                f"{len(available)} tuples do not fill their {count} rows of a batch; lower `rows` of the part"
            )
        rounds = -(-len(batches) // whole)
        drawn = np.concatenate([generator.permutation(available)[: whole * count] for _ in range(rounds)])
        columns.append(_tagged(number, drawn[: len(batches) * count]).reshape(len(batches), count, 2))
    plan = []
    for step, batch in enumerate(batches):
        joined = np.concatenate([batch, *(column[step] for column in columns)])
        plan.append(joined[np.argsort(joined[:, 0], kind="stable")])
    return plan


def _mixture(
    mixed: Rows, count: int, gathered: dict[int, int], training: Schedule, generator: Generator
) -> Iterator[Rows]:
    """The batches of the first part, with what has been gathered of others; `count` rows are drawn for each."""
    waiting = {number: np.empty((0, 2), dtype=np.int64) for number in gathered}
    for _ in range(training.epochs):
        order = mixed[generator.permutation(len(mixed))]
        whole = len(order) - len(order) % count if training.drop_last else len(order)
        for start in range(0, whole, count):
            drawn = order[start : min(start + count, whole)]
            batch = [drawn[drawn[:, 0] == 0]]
            for number, least in gathered.items():
                waiting[number] = np.concatenate([waiting[number], drawn[drawn[:, 0] == number]])
                # A row may wait from the epoch before when it is drawn again: the second time then waits for another.
                once = np.sort(np.unique(waiting[number][:, 1], return_index=True)[1])
                if len(once) >= least:
                    batch.append(waiting[number][once])
                    waiting[number] = np.delete(waiting[number], once, axis=0)
            joined = np.concatenate(batch)
            if len(joined):
                yield joined


def passes(plan: Plan, parts: Sequence[Part]) -> dict[str, int]:
    """Set → how often the row of it that is seen most is seen in the whole training."""
    pairs = np.concatenate(list(plan))
    seen: dict[str, int] = {}
    for number, part in enumerate(parts):
        most = int(np.bincount(pairs[pairs[:, 0] == number, 1], minlength=1).max())
        seen[part.set] = seen.get(part.set, 0) + most
    return seen


def shared_out(plan: Plan, processes: int) -> list[Rows]:
    """Each batch of `plan` as one share for each process, dealt row by row: all of the first batch, then the second, ….

    Raises:
        ConfigError: a batch has fewer rows than there are processes.
    """
    fewest = min(map(len, plan))
    if fewest < processes:
        raise ConfigError(
            f"a batch of {fewest} rows can't be shared out among {processes} processes; set training.drop_last, or "
            "train in fewer processes"
        )
    return [batch[process::processes] for batch in plan for process in range(processes)]


def _tagged(number: int, rows: Rows) -> Rows:
    return np.stack([np.full_like(rows, number), rows], axis=-1)
