"""Several seeds of a variant seen as one: groups, means and spreads, mean curves."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.evaluation.result import RunResult
from components.promotion.comparison import signed

TASKS = [
    "STS12",
    "STS13",
    "STS14",
    "STS15",
    "STS16",
    "STSB",
    "SICKR",
    "MR",
    "CR",
    "SUBJ",
    "MPQA",
    "SST2",
    "TREC",
    "MRPC",
]
DASH = "–"


class Spread(NamedTuple):
    """Mean and sample standard deviation (NaN below two values) over `known` of `runs` seeds."""

    mean: float
    deviation: float
    known: int
    runs: int

    def text(self, digits: int = 2, between: str = " ") -> str:
        """`82.68 ± 0.12`; `–` without a value; `(2 of 3)` behind it where seeds lack one."""
        if not self.known:
            return DASH
        parts = [signed(self.mean, digits)]
        if math.isfinite(self.deviation):
            parts.append(f"± {self.deviation:.{digits}f}")
        if self.known < self.runs:
            parts.append(f"({self.known} of {self.runs})")
        return between.join(parts)


class Curve(NamedTuple):
    """Mean and sample standard deviation (0 for a single seed) over seeds at every step; all of shape (steps,)."""

    steps: NDArray[np.int64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def by_variant(results: Iterable[RunResult]) -> dict[str, list[RunResult]]:
    """Runs grouped by variant, both in the order in which they came."""
    groups: dict[str, list[RunResult]] = {}
    for result in results:
        groups.setdefault(result.variant, []).append(result)
    return groups


def spread(runs: Sequence[RunResult], *metrics: str) -> Spread:
    """The mean of `metrics` in each run, over `runs`; a run in which one is missing or not finite is left out."""
    values = [math.fsum(run.metrics.get(metric, math.nan) for metric in metrics) / len(metrics) for run in runs]
    values = [value for value in values if math.isfinite(value)]
    mean = float(np.mean(values)) if values else math.nan
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(mean, deviation, len(values), len(runs))


def task_names(results: Iterable[RunResult], family: str) -> list[str]:
    """Tasks of which any run has a `family/<task>` metric, in the papers' order; averages and dev tasks left out."""
    results = list(results)
    found = {parts[1] for run in results for name in run.metrics if (parts := name.split("/"))[0] == family}
    found -= {"avg", *dev_tasks(results)}
    return [task for task in TASKS if task in found] + sorted(found.difference(TASKS))


def dev_tasks(results: Iterable[RunResult]) -> list[str]:
    """The tasks that picked the checkpoints of `results`; one, unless runs under several settings are compared."""
    return list(dict.fromkeys(run.dev for run in results))


def ranked(results: Iterable[RunResult]) -> dict[str, list[RunResult]]:
    """`by_variant`, best mean `sts/avg` first; variants without one last."""
    groups = by_variant(results)
    scores = {variant: spread(runs, "sts/avg").mean for variant, runs in groups.items()}
    order = sorted(groups, key=lambda variant: -scores[variant] if math.isfinite(scores[variant]) else math.inf)
    return {variant: groups[variant] for variant in order}


def mean_curve(runs: Sequence[RunResult], metric: str) -> Curve:
    """`metric` against the step, over the runs that have a finite value there; empty when none has."""
    points: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        for step, value in dict(run.curves.get(metric, [])).items():  # of a step logged twice, the later point
            if math.isfinite(value):
                points[step].append(value)
    steps = sorted(points)
    return Curve(
        np.array(steps, np.int64),
        np.array([np.mean(points[step]) for step in steps], np.float64),
        np.array([np.std(points[step], ddof=1) if len(points[step]) > 1 else 0.0 for step in steps], np.float64),
    )
