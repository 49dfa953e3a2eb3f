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


class _Buffers:
    """Room for a block of one task's resamples, used again for every block: (BLOCK, pairs)."""

    def __init__(self, pairs: int) -> None:
        self.counts = np.empty((BLOCK, pairs), np.int32)  # how often each pair was drawn
        self.sorted = np.empty((BLOCK, pairs), np.int32)  # the same, in the order of one array's values
        self.below = np.zeros((BLOCK, pairs + 1), np.int32)  # how many drawn pairs stand before each of the sorted
        self.low = np.empty((BLOCK, pairs), np.int32)
        self.high = np.empty((BLOCK, pairs), np.int32)
        self.weights = np.empty((BLOCK, pairs))
        self.gold, self.ranks = np.empty((2, BLOCK, pairs))
        self.weighted = np.empty((BLOCK, pairs))


class _Order(NamedTuple):
    """One array sorted: `order` (pairs,), and for each pair the half-open range of its ties among the sorted."""

    order: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]

    @classmethod
    def of(cls, values: FloatArray) -> "_Order":
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        return cls(order, np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right"))

    def rank(self, room: _Buffers, out: FloatArray) -> None:
        """Write to `out` twice the distance of each pair's mid-rank from the mean rank, in every resample."""
        np.take(room.counts, self.order, axis=1, out=room.sorted, mode="clip")
        np.cumsum(room.sorted, axis=1, dtype=np.int32, out=room.below[:, 1:])
        np.take(room.below, self.low, axis=1, out=room.low, mode="clip")
        np.take(room.below, self.high, axis=1, out=room.high, mode="clip")
        # Ranks low + 1 to high are tied: mid-rank (low + high + 1) / 2; the mean of all is (pairs + 1) / 2.
        np.add(room.low, room.high, out=room.low)
        np.subtract(room.low, len(self.order), out=out, casting="unsafe")


class _Systems(NamedTuple):
    """One task's gold scores and what the two systems make of it, each sorted once."""

    values: FloatArray  # gold, then the candidate's seeds, then the reference's: (1 + seeds + seeds, pairs)
    weights: FloatArray  # of each row but the first in the gain
    orders: list[_Order]

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
        weights = [np.full(len(row), sign / len(row)) for row, sign in zip(rows[1:], (100.0, -100.0), strict=True)]
        return cls(values, np.concatenate(weights), [_Order.of(row) for row in values])

    def observed_gain(self) -> float:
        return float(self.weights @ [spearman(self.values[0], row) for row in self.values[1:]])

    def resampled_gains(self, task: str, seed: int, blocks: range) -> FloatArray:
        """Gains in the resamples of `blocks`: (len(blocks), BLOCK)."""
        pairs = self.values.shape[1]
        room = _Buffers(pairs)
        gains = np.zeros((len(blocks), BLOCK))
        for gain, block in zip(gains, blocks, strict=True):
            for counts, indices in zip(room.counts, _draw(task, pairs, block, seed), strict=True):
                counts[:] = np.bincount(indices, minlength=pairs)
            room.weights[:] = room.counts
            self.orders[0].rank(room, room.gold)
            np.multiply(room.gold, room.weights, out=room.weighted)
            gold_squares = np.vecdot(room.weighted, room.gold)
            room.gold, room.weighted = room.weighted, room.gold  # from here on, gold stands weighted
            for order, weight in zip(self.orders[1:], self.weights, strict=True):
                order.rank(room, room.ranks)
                products = np.vecdot(room.gold, room.ranks)
                np.multiply(room.ranks, room.weights, out=room.weighted)
                scale = np.sqrt(gold_squares * np.vecdot(room.weighted, room.ranks))
                gain += weight * np.divide(products, scale, out=np.zeros(BLOCK), where=scale > 0)
        return gains
