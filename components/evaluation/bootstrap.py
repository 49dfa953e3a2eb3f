"""Is one encoder better than another, or was it luck with the pairs? Paired bootstrap over STS pairs.

Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation", section 3.2, with Spearman's
correlation in the place of BLEU. A resample only changes how often each pair counts, so nothing is sorted anew: with
the pairs sorted once, cumulative counts are the resampled ranks.
"""

import os
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.evaluation.sts import spearman

BLOCK = 32  # resamples drawn and ranked at once: as many as keep the arrays of a task in the cache
FloatArray = NDArray[np.float64]


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

    def probability_at_most(self, threshold: float = 0.0) -> float:
        """Share of resamples whose gain is no more than `threshold`: the one-sided p-value of "it gains more"."""
        return float(np.mean(self.resampled <= threshold))


def paired_bootstrap(
    gold: Mapping[str, ArrayLike],
    candidate: Mapping[str, ArrayLike],
    reference: Mapping[str, ArrayLike],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedBootstrap:
    """Resample the pairs of every task, the same for both systems, and correlate anew.

    Ties share their mid-rank, as `scipy.stats.spearmanr` has it; a resample in which one side is constant counts 0.

    Args:
        gold: task → gold scores, shape (pairs,).
        candidate: task → similarities, shape (seeds, pairs) or (pairs,), in the order of `gold`.
        reference: likewise; its number of seeds may differ.
        resamples: how many.
        seed: of the draw. A task's resamples depend on it and on the task's name, not on the other tasks.

    Raises:
        ValueError: tasks or shapes that differ, or values that are not finite.
    """
    if not gold or not set(gold) == set(candidate) == set(reference):
        raise ValueError("gold, candidate and reference must hold the same tasks, at least one")
    systems = {task: _Systems.of(task, gold[task], candidate[task], reference[task]) for task in gold}
    blocks = -(-resamples // BLOCK)
    workers = min(os.cpu_count() or 1, blocks)
    # Threads suffice: numpy lets go of the interpreter's lock in most of what is slow here.
    with ThreadPoolExecutor(workers) as pool:
        shares = {
            (task, worker): pool.submit(system.resampled_gains, task, seed, range(worker, blocks, workers))
            for task, system in systems.items()
            for worker in range(workers)
        }
    resampled = np.zeros((blocks, BLOCK))
    for (_, worker), share in shares.items():
        resampled[worker::workers] += share.result()
    task_gains = {task: system.observed_gain() for task, system in systems.items()}
    mean = float(np.mean(list(task_gains.values())))
    return PairedBootstrap(mean, task_gains, resampled.ravel()[:resamples] / len(systems))


def resample_indices(task: str, pairs: int, *, resamples: int, seed: int) -> NDArray[np.int64]:
    """The pairs that `paired_bootstrap` draws for `task`, with replacement: shape (resamples, pairs)."""
    blocks = -(-resamples // BLOCK)
    return np.concatenate([_draw(task, pairs, block, seed) for block in range(blocks)])[:resamples]


def _draw(task: str, pairs: int, block: int, seed: int) -> NDArray[np.int64]:
    # Every block has its own stream, so that the number of threads changes nothing.
    stream = np.random.default_rng([seed, zlib.crc32(task.encode()), block])
    return stream.integers(pairs, size=(BLOCK, pairs))


class _Room:
    """Arrays for one block of resamples of one task, used again for every block: fresh ones cost more than the sums."""

    def __init__(self, pairs: int) -> None:
        self.counts = np.empty((BLOCK, pairs), np.int32)  # how often each pair was drawn
        self.sorted = np.empty((BLOCK, pairs), np.int32)  # the same, in the order of one array's values
        self.below = np.zeros((BLOCK, pairs + 1), np.int32)  # how many drawn pairs stand before each of the sorted
        self.gold = np.empty((BLOCK, pairs), np.int32)  # gold's ranks, in the order of gold
        self.ranks, self.weighted = np.empty((2, BLOCK, pairs))  # ranks of the sorted; and times how often drawn


class _Order(NamedTuple):
    """One array sorted, and cut where its value changes."""

    order: NDArray[np.intp]  # (pairs,)
    bounds: NDArray[np.intp]  # (distinct + 1,): where among the sorted each distinct value begins, and the end

    @classmethod
    def of(cls, values: FloatArray) -> "_Order":
        _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
        return cls(np.argsort(group, kind="stable"), np.concatenate([[0], np.cumsum(sizes)]))

    def rank(self, room: _Room, out: NDArray[np.int32]) -> None:
        """Write twice the mid-rank, less 1, of each sorted pair to `out` (resamples, pairs), the rest to `room`."""
        np.take(room.counts, self.order, axis=1, out=room.sorted, mode="clip")
        np.cumsum(room.sorted, axis=1, dtype=np.int32, out=room.below[:, 1:])
        room.weighted[:] = room.sorted
        # Ranks from below[start] + 1 to below[end] are tied; their mean is half of below[start] + below[end] + 1.
        if len(self.bounds) == room.below.shape[1]:
            np.add(room.below[:, :-1], room.below[:, 1:], out=out)
        else:
            below = np.take(room.below, self.bounds, axis=1)
            out[:] = np.repeat(below[:, :-1] + below[:, 1:], np.diff(self.bounds), axis=1)
        room.ranks[:] = out
        room.weighted *= room.ranks


class _Systems(NamedTuple):
    """One task's gold scores and what the two systems make of it, each sorted once."""

    values: FloatArray  # gold, then the candidate's seeds, then the reference's: (1 + seeds + seeds, pairs)
    seeds: int  # the candidate's
    orders: list[_Order]
    from_gold: list[NDArray[np.intp]]  # of each system: where among those sorted by gold its sorted pairs stand

    @classmethod
    def of(cls, task: str, gold: ArrayLike, candidate: ArrayLike, reference: ArrayLike) -> "_Systems":
        rows = [np.atleast_2d(np.asarray(part, np.float64)) for part in (gold, candidate, reference)]
        if rows[0].shape[0] != 1 or not rows[0].size or any(row.shape[1] != rows[0].shape[1] for row in rows):
            shapes = ", ".join(str(row.shape) for row in rows)
            raise ValueError(
                f"{task}: gold, candidate and reference must be of the same pairs; their shapes are {shapes}"
            )
        values = np.concatenate(rows)
        if not np.isfinite(values).all():
            raise ValueError(f"{task}: a score or similarity is not finite")
        orders = [_Order.of(row) for row in values]
        among_gold = np.argsort(orders[0].order)
        return cls(values, len(rows[1]), orders, [among_gold[order.order] for order in orders[1:]])

    def observed_gain(self) -> float:
        return float(self._gain(np.array([spearman(self.values[0], row) for row in self.values[1:]])))

    def _gain(self, correlations: FloatArray) -> FloatArray:
        """From (systems, …) to (…); exactly 0 where the two systems are the same."""
        return 100 * (correlations[: self.seeds].mean(axis=0) - correlations[self.seeds :].mean(axis=0))

    def resampled_gains(self, task: str, seed: int, blocks: range) -> FloatArray:
        """Gains in the resamples of `blocks`: (len(blocks), BLOCK)."""
        pairs = self.values.shape[1]
        centre = float(pairs) ** 3  # what the mean rank adds to a sum of products of two rows of ranks
        room = _Room(pairs)
        gains = np.empty((len(blocks), BLOCK))
        correlations = np.zeros((len(self.orders) - 1, BLOCK))
        for gain, block in zip(gains, blocks, strict=True):
            for counts, indices in zip(room.counts, _draw(task, pairs, block, seed), strict=True):
                counts[:] = np.bincount(indices, minlength=pairs)
            self.orders[0].rank(room, room.gold)
            gold_squares = np.vecdot(room.weighted, room.ranks) - centre
            for order, places, correlation in zip(self.orders[1:], self.from_gold, correlations, strict=True):
                order.rank(room, room.sorted)
                scale = np.sqrt(gold_squares * (np.vecdot(room.weighted, room.ranks) - centre))
                np.take(room.gold, places, axis=1, out=room.sorted, mode="clip")
                room.ranks[:] = room.sorted
                covariance = np.vecdot(room.weighted, room.ranks) - centre
                correlation[:] = np.divide(covariance, scale, out=np.zeros(BLOCK), where=scale > 0)
            gain[:] = self._gain(correlations)
        return gains
