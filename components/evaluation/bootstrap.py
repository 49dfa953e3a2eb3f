"""Is one encoder better than another, or is it noise? Bootstrap over STS pairs.

Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation", section 3.2, with Spearman's
correlation in the place of BLEU. All systems are scored on the same resamples, so that any two of them can be
compared by subtraction. A resample only changes how often each pair counts, so nothing is sorted anew: with the pairs
sorted once, cumulative counts are the resampled ranks. Their squares need no ranks at all, for they differ from those
of ranks without ties by the cubes of the ties' sizes (Kendall 1945, "The treatment of ties in ranking problems").
"""

import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from components.processes import usable_cores

BLOCK = 32  # resamples drawn and ranked at once: as many as keep the arrays of a task in the cache
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]


@dataclass(frozen=True)
class PairedBootstrap:
    """Gain of a candidate over a reference, observed and resampled; everything is in points of Spearman ×100.

    Attributes:
        gain: observed; mean over tasks of the mean over seeds.
        task_gains: observed gain of each task.
        resampled: the gain in each resample, shape (resamples,).
    """

    gain: float
    task_gains: dict[str, float]
    resampled: FloatArray

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Two-sided percentile interval (low, high) that holds the gain with `confidence` in (0, 1)."""
        low, high = np.quantile(self.resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of "there is no gain", in (0, 1]: the smaller tail at 0, doubled.

        Counts include the observed sample, so that it is never 0 (Davison & Hinkley 1997, section 4.2.3).
        """
        below, above = np.sum(self.resampled <= 0), np.sum(self.resampled >= 0)
        return float(min(1, 2 * (1 + min(below, above)) / (1 + len(self.resampled))))


def resampled_scores(
    gold: Mapping[str, ArrayLike], systems: Mapping[str, ArrayLike], *, resamples: int = 10_000, seed: int = 0
) -> dict[str, FloatArray]:
    """Resample the pairs of every task, the same for all systems, and correlate anew.

    Ties share their mid-rank, as `scipy.stats.spearmanr` has it; a resample in which a system is constant counts 0.
    A system's scores do not depend on which others are given.

    Args:
        gold: task → gold scores, shape (pairs,).
        systems: task → similarities, shape (systems, pairs), in the order of `gold`.
        resamples: how many.
        seed: of the draw. A task's resamples depend on it and on the task's name and gold scores, not on other tasks.

    Returns:
        task → Spearman ×100, shape (systems, resamples).

    Raises:
        ValueError: tasks or shapes that differ, or values that are not finite.
    """
    if not gold or set(gold) != set(systems):
        raise ValueError("gold and systems must hold the same tasks, at least one")
    ordered = {task: _Systems.of(task, gold[task], systems[task]) for task in gold}
    blocks = -(-resamples // BLOCK)
    workers = min(usable_cores(), blocks)
    scores = {task: np.empty((len(each.orders) - 1, blocks * BLOCK)) for task, each in ordered.items()}
    # Threads suffice: numpy and torch release the interpreter's lock in most of what is slow here.
    with ThreadPoolExecutor(workers) as pool:
        shares = [
            pool.submit(each.resample, task, seed, range(worker, blocks, workers), scores[task])
            for task, each in ordered.items()
            for worker in range(workers)
        ]
    for share in shares:
        share.result()
    return {task: each[:, :resamples] for task, each in scores.items()}


def resample_indices(task: str, gold: ArrayLike, *, resamples: int, seed: int) -> NDArray[np.int64]:
    """The pairs that `resampled_scores` draws for `task`, with replacement: shape (resamples, pairs)."""
    order = np.argsort(gold, kind="stable")
    room = _Room(len(order))
    blocks = -(-resamples // BLOCK)
    return np.concatenate([order[room.draw(task, block, seed)] for block in range(blocks)])[:resamples]


class _Room:
    """Arrays for one block of resamples of one task, used again for every block: fresh ones cost more than the sums.

    What numpy does row by row it does with the interpreter's lock held, and the threads wait for each other. So counts
    and sums are taken over the rows joined to one.
    """

    def __init__(self, pairs: int) -> None:
        self.counts, self.sorted, self.weighted, self.gold, self.ranks = np.empty((5, BLOCK, pairs), np.int32)
        self.begins = np.arange(0, BLOCK * pairs, pairs)[:, np.newaxis]  # of rows, when joined
        self.factors = np.empty((2, BLOCK, pairs))
        self.indices = np.empty((BLOCK, pairs), np.int64)

    def draw(self, task: str, block: int, seed: int) -> NDArray[np.int64]:
        """The pairs of a block's resamples by place in gold's order, (BLOCK, pairs); the next draw overwrites it."""
        # Every block has its own stream, so that the number of threads changes nothing.
        stream = np.random.Generator(np.random.SFC64([seed, zlib.crc32(task.encode()), block]))
        uniform = stream.random(out=self.factors[0, : BLOCK // 2])
        first, second = np.split(self.indices, 2)
        uniform *= first.shape[1]
        np.copyto(first, uniform, casting="unsafe")
        uniform -= first  # what this leaves of 53 bits draws the second half
        uniform *= first.shape[1]
        np.copyto(second, uniform, casting="unsafe")
        return self.indices

    def count(self, task: str, block: int, seed: int) -> None:
        """Have in `counts` how often each pair was drawn."""
        indices = self.draw(task, block, seed)
        indices += self.begins
        self.counts.ravel()[:] = np.bincount(indices.ravel(), minlength=indices.size)
        self.cubes = self.sum_cubes(self.counts)

    def sum_cubes(self, sizes: IntArray) -> FloatArray:
        """(resamples, distinct) to (resamples,)."""
        once, squared = self.factors[:, :, : sizes.shape[1]]
        once[:] = sizes
        return np.vecdot(np.square(once, out=squared), once)


class _Order(NamedTuple):
    """One array's pairs by their values."""

    order: NDArray[np.intp]  # (pairs,): sorted
    starts: NDArray[np.intp]  # (distinct,): where among the sorted each distinct value begins
    value: NDArray[np.intp]  # (pairs,): which of the distinct values each pair has

    @classmethod
    def of(cls, values: FloatArray) -> "_Order":
        _, value, sizes = np.unique(values, return_inverse=True, return_counts=True)
        return cls(np.argsort(value, kind="stable"), np.cumsum(sizes) - sizes, value)

    def sums(self, amounts: IntArray, room: _Room) -> IntArray:
        """The sum of the pairs' `amounts`, in this order, for each distinct value: (resamples, distinct)."""
        if len(self.starts) == len(self.order):
            return amounts
        starts = room.begins + self.starts
        return np.add.reduceat(amounts.ravel(), starts.ravel(), dtype=np.int64).reshape(starts.shape)

    def rank(self, counts: IntArray, room: _Room, out: IntArray) -> tuple[IntArray, FloatArray]:
        """Twice the mid-rank, less 1, of each distinct value, (resamples, distinct); the sum of ties' sizes cubed.

        Where no values are alike, a tie is a pair that was drawn several times.
        """
        sizes = self.sums(counts, room)
        ranks = out.ravel()[: sizes.size].reshape(sizes.shape)
        # numpy's takes four times as long
        torch.cumsum(torch.from_numpy(sizes), 1, dtype=torch.int32, out=torch.from_numpy(ranks))
        # Ranks up to this, and from as many below as the size, are tied; their mean is half of both's sum and of 1.
        ranks *= 2
        ranks -= sizes
        return ranks, room.cubes if sizes.shape[1] == len(self.order) else room.sum_cubes(sizes)


class _Systems(NamedTuple):
    """One task's gold scores, then what the systems make of it, each sorted once."""

    orders: list[_Order]
    pairs: int

    @classmethod
    def of(cls, task: str, gold: ArrayLike, systems: ArrayLike) -> "_Systems":
        rows = [np.atleast_2d(np.asarray(part, np.float64)) for part in (gold, systems)]
        if rows[0].shape[0] != 1 or not rows[0].size or rows[1].shape[1] != rows[0].shape[1]:
            shapes = " and ".join(str(row.shape) for row in rows)
            raise ValueError(f"{task}: gold and systems must be of the same pairs; their shapes are {shapes}")
        values = np.concatenate(rows)[:, np.argsort(rows[0][0], kind="stable")]  # so that gold stands sorted
        if not np.isfinite(values).all():
            raise ValueError(f"{task}: a score or similarity is not finite")
        return cls([_Order.of(row) for row in values], values.shape[1])

    def resample(self, task: str, seed: int, blocks: range, out: FloatArray) -> None:
        """Write the correlations ×100 in the resamples of `blocks` to their places in `out`, (systems, resamples)."""
        room = _Room(self.pairs)
        cubed = float(self.pairs) ** 3  # what mean ranks add to a sum of products of ranks
        gold, *systems = self.orders
        golds_of = [gold.value[order.order] for order in systems]
        for block in blocks:
            room.count(task, block, seed)
            gold_ranks, gold_cubes = gold.rank(room.counts, room, out=room.gold)
            for order, golds, scores in zip(
                systems, golds_of, out[:, block * BLOCK : (block + 1) * BLOCK], strict=True
            ):
                counts = np.take(room.counts, order.order, axis=1, out=room.sorted, mode="clip")
                weighted = np.take(gold_ranks, golds, axis=1, out=room.weighted, mode="clip")
                weighted *= counts
                ranks, cubes = order.rank(counts, room, out=room.ranks)
                left, right = room.factors[:, :, : ranks.shape[1]]
                left[:], right[:] = order.sums(weighted, room), ranks
                covariance = np.vecdot(left, right) - cubed
                scale = np.sqrt((cubed - gold_cubes) * (cubed - cubes)) / 3
                scores[:] = 100 * np.divide(covariance, scale, out=np.zeros(BLOCK), where=scale > 0)
