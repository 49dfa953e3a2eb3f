"""Encoders compared on the very same STS pairs: figures, gains, and which gains noise explains.

The gate and the leaderboard compare through `Comparisons` alone, with the resamples, confidence and seed of the gate's
rule `gain`, so that they state the same figures.
"""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from components.errors import CseflowError
from components.evaluation.bootstrap import PairedBootstrap, resampled_scores
from components.evaluation.result import RunResult
from components.evaluation.sts import spearman

AVERAGE = "avg"
RESAMPLES, CONFIDENCE = 10_000, 0.95  # as the rule `gain` has them by default
_TOLERANCE = 0.01  # Spearman ×100; logged scores and logged cosines must give the same gain within it
FloatArray = NDArray[np.float64]


class Incomparable(CseflowError):
    """A figure is missing or not finite, or the two sides were not measured on the same pairs."""


@dataclass(frozen=True)
class TaskComparison:
    """One task, or the average over tasks; everything in Spearman ×100.

    Attributes:
        candidate, reference: score, mean over the runs of that side.
        bootstrap: of the gain, candidate minus reference.
        confidence: of the interval, in (0, 1).
    """

    candidate: float
    reference: float
    bootstrap: PairedBootstrap
    confidence: float

    @property
    def gain(self) -> float:
        return self.bootstrap.gain

    @property
    def interval(self) -> tuple[float, float]:
        """Two-sided interval of the gain."""
        return self.bootstrap.interval(self.confidence)

    @property
    def mark(self) -> str:
        """▲: the interval lies above 0; ▼: below; ≈: 0 is in it, noise explains the gain."""
        low, high = self.interval
        return "▲" if low > 0 else "▼" if high < 0 else "≈"

    @property
    def gain_text(self) -> str:
        """Such as `+0.65 ▲`."""
        return f"{signed(self.gain, plus='+')} {self.mark}"

    @property
    def interval_text(self) -> str:
        """Such as `+0.21 to +1.09`."""
        return " to ".join(signed(end, plus="+") for end in self.interval)


class Comparisons:
    """Any of `runs` compared with any other: each is resampled once, and a gain is a difference.

    Several runs of one side are seeds of one variant. Its score is their mean, and each resample draws from them too:
    n − 1 of n with replacement, so that the spread of the mean is neither under- nor overstated (Rao & Wu 1988,
    "Resampling inference with complex survey data"). A single run is an encoder: only the pairs are resampled.

    Args:
        runs: all that will be compared; those without finite cosines for all their pairs can't be.
        resamples, seed: of the bootstrap.
        confidence: of intervals, and of what counts as told apart; in (0, 1).
    """

    def __init__(
        self, runs: Iterable[RunResult], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
    ) -> None:
        self.resamples, self.confidence, self.seed = resamples, confidence, seed
        self._runs = list({id(run): run for run in runs}.values())  # holds them, so that ids stay theirs
        self._scores: dict[int, _Scores] = {}
        self._means: dict[tuple[int, ...], _Scores] = {}
        for group in self._on_same_pairs():
            gold = _gold(group[0])
            systems = {task: np.stack([run.cosines[task] for run in group]) for task in gold}
            resampled = resampled_scores(gold, systems, resamples=resamples, seed=seed)
            for place, run in enumerate(group):
                observed = {task: 100 * spearman(gold[task], run.cosines[task]) for task in gold}
                self._scores[id(run)] = _Scores(observed, {task: resampled[task][place] for task in gold})

    def compare(self, candidate: Sequence[RunResult], reference: Sequence[RunResult]) -> dict[str, TaskComparison]:
        """Every STS task by name, and `avg`, their mean (dev splits left out).

        Raises:
            Incomparable: with the reason in one clause.
        """
        for side, runs in {"candidate": candidate, "reference": reference}.items():
            if not runs:
                raise Incomparable(f"there is no finished run of the {side}")
        tasks = list(_shared_gold([*candidate, *reference]))
        for run in (*candidate, *reference):
            for task in tasks:
                _require_cosines(run, task)
        ours, theirs = self._mean(candidate), self._mean(reference)
        compared = {}
        for task in (*tasks, AVERAGE):
            metric = f"sts/{task}"
            bootstrap = PairedBootstrap(
                gain=ours.observed[task] - theirs.observed[task],
                task_gains={name: ours.observed[name] - theirs.observed[name] for name in tasks},
                resampled=ours.resampled[task] - theirs.resampled[task],
            )
            scores = mean_metric(candidate, metric), mean_metric(reference, metric)
            if abs(scores[0] - scores[1] - bootstrap.gain) > _TOLERANCE:
                raise Incomparable(
                    f"{metric} as logged gains {scores[0] - scores[1]:.2f}, but the logged cosines give "
                    f"{bootstrap.gain:.2f}: a run was not measured completely, train it again with --force"
                )
            compared[task] = TaskComparison(*scores, bootstrap, self.confidence)
        return compared

    def interval(self, runs: Sequence[RunResult]) -> dict[str, tuple[float, float]]:
        """Two-sided interval of the mean score of `runs`, Spearman ×100: of every STS task by name, and `avg`.

        Raises:
            Incomparable: they were not measured on the same pairs, or not completely.
        """
        self.compare(runs, runs)
        tails = [(1 - self.confidence) / 2, (1 + self.confidence) / 2]
        found = {task: np.quantile(values, tails) for task, values in self._mean(runs).resampled.items()}
        return {task: (float(low), float(high)) for task, (low, high) in found.items()}

    def told_apart(self, groups: Mapping[str, Sequence[RunResult]]) -> dict[frozenset[str], bool]:
        """For every two of `groups` that can be compared, whether their STS averages differ significantly.

        Corrected for the number of pairs by Holm's step-down procedure (Holm 1979, "A simple sequentially rejective
        multiple test procedure"), at the level 1 − confidence.

        Raises:
            Incomparable: the resamples are too few for so many pairs; 10,000 are enough for 22 groups.
        """
        values = {}
        for first, second in combinations(groups, 2):
            try:
                average = self.compare(groups[first], groups[second])[AVERAGE]
            except Incomparable:
                continue
            values[frozenset((first, second))] = average.bootstrap.p_value
        needed = math.ceil(2 * len(values) / (1 - self.confidence))
        if values and self.resamples < needed:  # no p-value could be small enough
            raise Incomparable(
                f"{len(values)} pairs of variants need at least {needed:,} resamples to be told apart, and the rule "
                f"gain has {self.resamples:,}"
            )
        apart, still = {}, True
        for place, pair in enumerate(sorted(values, key=values.__getitem__)):
            still = still and values[pair] * (len(values) - place) <= 1 - self.confidence
            apart[pair] = still
        return apart

    def _on_same_pairs(self) -> list[list[RunResult]]:
        """The runs that can be resampled, in groups of the same gold scores."""
        groups: list[list[RunResult]] = []
        for run in self._runs:
            gold = _gold(run)
            try:
                for task in gold:
                    _require_cosines(run, task)
            except Incomparable:
                continue
            if not gold:
                continue
            for group in groups:
                if _same(gold, _gold(group[0])):
                    group.append(run)
                    break
            else:
                groups.append([run])
        return groups

    def _mean(self, runs: Sequence[RunResult]) -> "_Scores":
        """Mean over `runs`, with the mean over tasks as `avg`."""
        runs = sorted(runs, key=lambda run: (run.seed, run.run_id))
        key = tuple(id(run) for run in runs)
        if key not in self._means:
            scores = [self._scores[id(run)] for run in runs]
            tasks = list(scores[0].observed)
            observed = {task: fmean(each.observed[task] for each in scores) for task in tasks}
            stacked = {task: np.stack([each.resampled[task] for each in scores]) for task in tasks}
            if len(runs) > 1:
                drawn = self._drawn_seeds(runs)
                stacked = {task: np.take_along_axis(rows, drawn, axis=0) for task, rows in stacked.items()}
            means: dict[str, FloatArray] = {task: rows.mean(axis=0) for task, rows in stacked.items()}
            means[AVERAGE] = np.mean([means[task] for task in tasks], axis=0)
            self._means[key] = _Scores(observed | {AVERAGE: fmean(observed.values())}, means)
        return self._means[key]

    def _drawn_seeds(self, runs: Sequence[RunResult]) -> NDArray[np.int64]:
        """Which of `runs` each resample draws: (runs − 1, resamples); the same whichever side they are on."""
        name = " ".join(f"{run.variant} {run.seed}" for run in runs)
        stream = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        return stream.integers(len(runs), size=(len(runs) - 1, self.resamples))


@dataclass(frozen=True)
class _Scores:
    """Spearman ×100 by task: on the pairs themselves, and in each resample, (resamples,)."""

    observed: dict[str, float]
    resampled: dict[str, FloatArray]


def mean_metric(runs: Sequence[RunResult], metric: str) -> float:
    """Mean of `metric` over `runs`, which all must have it.

    Raises:
        Incomparable: there are no runs, or one lacks the metric or has it as NaN or infinity.
    """
    if not runs:
        raise Incomparable("there is no finished run")
    for run in runs:
        if metric not in run.metrics:
            raise Incomparable(f"{metric} is missing in {run.variant}, seed {run.seed}")
        if not math.isfinite(run.metrics[metric]):
            raise Incomparable(f"{metric} is {run.metrics[metric]} in {run.variant}, seed {run.seed}")
    return fmean(run.metrics[metric] for run in runs)


def signed(value: float, digits: int = 2, plus: str = "") -> str:
    """`value` with a true minus sign, `plus` before what is positive, and no sign before what rounds to zero."""
    text = f"{value:.{digits}f}"
    if not float(text):
        return text.removeprefix("-")
    return text.replace("-", "−") if value < 0 else plus + text


def _gold(run: RunResult) -> dict[str, FloatArray]:
    return {task: values for task, values in run.gold.items() if not task.endswith("-dev")}


def _same(one: Mapping[str, FloatArray], other: Mapping[str, FloatArray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(values, other[task]) for task, values in one.items())


def _shared_gold(runs: Sequence[RunResult]) -> dict[str, FloatArray]:
    """The gold scores that all runs share."""
    first, *others = (_gold(run) for run in runs)
    if not first:
        raise Incomparable(f"no gold scores were kept for {runs[0].variant}, seed {runs[0].seed}")
    for run, gold in zip(runs[1:], others, strict=True):
        if gold.keys() != first.keys():
            raise Incomparable(
                f"{runs[0].variant} was measured on {', '.join(first)}, but {run.variant}, seed {run.seed}, on "
                f"{', '.join(gold) or 'no task'}"
            )
        for task, values in gold.items():
            if not np.array_equal(values, first[task]):
                raise Incomparable(
                    f"{task} holds other pairs for {runs[0].variant} ({len(first[task])}) than for {run.variant}, "
                    f"seed {run.seed} ({len(values)})"
                )
    return first


def _require_cosines(run: RunResult, task: str) -> None:
    values, pairs = run.cosines.get(task), len(run.gold[task])
    if values is None or values.shape != (pairs,) or not np.isfinite(values).all():
        raise Incomparable(
            f"{run.variant}, seed {run.seed}, has no finite cosine for each of the {pairs} pairs of {task}"
        )
