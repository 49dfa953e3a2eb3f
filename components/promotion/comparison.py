"""A candidate and a reference on the very same STS pairs: figures, gains, and what luck with the pairs explains.

The gate and the leaderboard compare through this module alone, so that they can't disagree.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from components.errors import CseflowError
from components.evaluation.bootstrap import PairedBootstrap, paired_bootstrap
from components.evaluation.result import RunResult

AVERAGE = "avg"
_TOLERANCE = 0.01  # Spearman ×100; logged scores and logged cosines must tell the same gain within it


class Incomparable(CseflowError):
    """A figure is missing or not finite, or the two sides were not measured on the same pairs."""


@dataclass(frozen=True)
class TaskComparison:
    """One task, or the average over tasks; everything in Spearman ×100.

    Attributes:
        candidate, reference: score, mean over seeds.
        bootstrap: of the gain, candidate minus reference.
    """

    candidate: float
    reference: float
    bootstrap: PairedBootstrap

    @property
    def gain(self) -> float:
        return self.bootstrap.gain

    def lower_bound(self, confidence: float) -> float:
        """One-sided: the gain is above it in a share `confidence`, in (0, 1), of the resamples."""
        return float(np.quantile(self.bootstrap.resampled, 1 - confidence))


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


def compare(
    candidate: Sequence[RunResult], reference: Sequence[RunResult], *, resamples: int, seed: int
) -> dict[str, TaskComparison]:
    """Every STS task by name, and `avg`, their mean (dev splits left out); each side is the mean over its seeds.

    Raises:
        Incomparable: with the reason in one clause.
    """
    for side, runs in {"candidate": candidate, "reference": reference}.items():
        if not runs:
            raise Incomparable(f"there is no finished run of the {side}")
    gold = _gold([*candidate, *reference])
    compared = {}
    for task in gold:
        sides = [np.stack([_cosines(run, task, len(gold[task])) for run in runs]) for runs in (candidate, reference)]
        bootstrap = paired_bootstrap(
            {task: gold[task]}, {task: sides[0]}, {task: sides[1]}, resamples=resamples, seed=seed
        )
        compared[task] = _checked(f"sts/{task}", candidate, reference, bootstrap)
    # A task's resamples depend on the seed and its own name alone, so their mean is the joint bootstrap's.
    average = PairedBootstrap(
        gain=fmean(task.gain for task in compared.values()),
        task_gains={name: task.gain for name, task in compared.items()},
        resampled=np.mean([task.bootstrap.resampled for task in compared.values()], axis=0),
    )
    compared[AVERAGE] = _checked(f"sts/{AVERAGE}", candidate, reference, average)
    return compared


def _gold(runs: Sequence[RunResult]) -> dict[str, NDArray[np.float64]]:
    """The gold scores that all runs share."""
    first, *others = ({task: values for task, values in run.gold.items() if not task.endswith("-dev")} for run in runs)
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


def _cosines(run: RunResult, task: str, pairs: int) -> NDArray[np.float64]:
    values = run.cosines.get(task)
    if values is None or values.shape != (pairs,) or not np.isfinite(values).all():
        raise Incomparable(
            f"{run.variant}, seed {run.seed}, has no finite cosine for each of the {pairs} pairs of {task}"
        )
    return values


def _checked(
    metric: str, candidate: Sequence[RunResult], reference: Sequence[RunResult], bootstrap: PairedBootstrap
) -> TaskComparison:
    ours, theirs = mean_metric(candidate, metric), mean_metric(reference, metric)
    if abs(ours - theirs - bootstrap.gain) > _TOLERANCE:
        raise Incomparable(
            f"{metric} as logged gains {ours - theirs:.2f}, but the logged cosines give {bootstrap.gain:.2f}: the "
            f"run was not measured whole"
        )
    return TaskComparison(ours, theirs, bootstrap)
