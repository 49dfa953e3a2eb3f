"""Which rows stand in which batch, for a whole training: fixed by the seed before the first step."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.config.training import Schedule
from components.config.variants import Part
from components.errors import ConfigError, DataError


def rows_per_batch(parts: Sequence[Part], batch_size: int) -> list[int]:
    """How many rows of a batch each part gives; the one without `rows` takes what the others leave."""
    rest = batch_size - sum(part.rows or 0 for part in parts)
    return [part.rows if part.rows is not None else rest for part in parts]


def batch_plan(
    rows: Sequence[NDArray[np.int64]], per_batch: Sequence[int], training: Schedule, seed: int
) -> NDArray[np.int64]:
    """The rows of every batch of a training, in order.

    The first part counts an epoch: each of its rows (a seeded sample of at most `training.sentences`) stands in one
    batch; other parts go round. Each epoch or round is shuffled anew and ends with a whole batch, what is left over
    standing out of it, so that no row is twice in a batch, where it would be its own negative.

    Args:
        rows: for each part the rows that may be drawn.
        per_batch: for each part its rows in a batch.

    Returns:
        (steps, sum of per_batch, 2): part and row.

    Raises:
        DataError: a part does not fill its share of one batch.
    """
    generator = np.random.default_rng(seed)
    first = generator.permutation(rows[0])[: training.sentences]
    steps = len(first) // per_batch[0]
    if steps == 0:
        raise DataError(
            f"{len(first)} training rows do not fill one batch of {per_batch[0]}; lower training.batch_size"
        )
    total = steps * training.epochs
    columns = []
    for number, (available, count) in enumerate(zip([first, *rows[1:]], per_batch, strict=True)):
        batches = len(available) // count
        if batches == 0:
            raise DataError(
                f"{len(available)} tuples do not fill their {count} rows of a batch; lower `rows` of the part"
            )
        rounds = -(-total // batches)
        drawn = np.concatenate([generator.permutation(available)[: batches * count] for _ in range(rounds)])
        column = drawn[: total * count].reshape(total, count)
        columns.append(np.stack([np.full_like(column, number), column], axis=-1))
    return np.concatenate(columns, axis=1)


def shared_out(plan: NDArray[np.int64], processes: int) -> NDArray[np.int64]:
    """Each batch of `plan` (steps, rows, 2) as one share for each process, (steps · processes, rows / processes, 2).

    Every process gets as many rows of every part, so that the gathered batch is the planned one.

    Raises:
        ConfigError: the rows of a part can't be shared out evenly.
    """
    steps, rows, _ = plan.shape
    if (np.bincount(plan[0, :, 0]) % processes).any():
        raise ConfigError(
            f"training.batch_size and the rows of a variant's data must be multiples of the {processes} processes"
        )
    return plan.reshape(steps, rows // processes, processes, 2).swapaxes(1, 2).reshape(steps * processes, -1, 2)
