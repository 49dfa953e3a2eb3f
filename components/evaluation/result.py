"""What one finished run has to say; the currency between tracking, report and promotion."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.config.evaluation import STSB_DEV


@dataclass(frozen=True)
class RunResult:
    """One variant trained (or not) with one seed, and measured.

    Attributes:
        variant: its entry in params.yaml.
        seed: of its training.
        run_id: of its MLflow run.
        metrics: last value of every metric by its MLflow name (`sts/STSB`, `sts/avg`, `sts/STSB-dev`,
            `geometry/heldout/alignment`, `rfd/uniformity`, …); correlations are ×100.
        curves: every metric's (step, value) points, ascending by step.
        gold: per STS task the gold scores, shape (pairs,).
        cosines: per STS task the cosines this encoder gives, shape (pairs,), aligned with `gold`.
        patterns: per data set the histograms of `components.evaluation.patterns`.
        validations: per kind of data set, whether the suite passed that the run relied on.
        settings: by their keys, what it was trained and measured under, as MLflow has it.
    """

    variant: str
    seed: int
    run_id: str
    metrics: dict[str, float]
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    gold: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    cosines: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    patterns: dict[str, Any] = field(default_factory=dict)
    validations: dict[str, bool] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def dev(self) -> str:
        """The task that picked its checkpoint, `evaluation.dev`."""
        return self.settings.get("evaluation.dev", STSB_DEV)

    @property
    def dev_score(self) -> float:
        """Spearman ×100 on the dev task, of the encoder that the run hands on; NaN where there is none."""
        return self.metrics.get(f"sts/{self.dev}", math.nan)


# Of runs that differ in these alone, one is another seed of the other, or the same laid out over other machines.
_NO_DIFFERENCE = {"seed", "training.processes", "training.nodes", "training.rendezvous", "training.cache_rows"}
_SHOWN = 3  # settings in a name


def told_apart(results: Iterable[RunResult]) -> list[RunResult]:
    """The runs, with what differs in the name where runs of one variant have different settings.

    Such runs are no seeds of one variant: `simcse (training.learning_rate=3e-05)` stands beside
    `simcse (training.learning_rate=1e-05)`.
    """
    results = list(results)
    found: dict[str, dict[str, set[str | None]]] = {}
    for name in {run.variant for run in results}:
        runs = [run for run in results if run.variant == name]
        keys = sorted({key for run in runs for key in run.settings} - _NO_DIFFERENCE)
        values = {key: {run.settings.get(key) for run in runs} for key in keys}
        found[name] = {key: each for key, each in values.items() if len(each) > 1}
    return [replace(run, variant=run.variant + _difference(run, list(found[run.variant]))) for run in results]


def _difference(run: RunResult, keys: list[str]) -> str:
    if not keys:
        return ""
    told = [f"{key}={run.settings.get(key, 'unset')}" for key in keys]
    more = ""
    if len(told) > _SHOWN:
        more = f", {len(told) - _SHOWN} more, {hashlib.sha256(' '.join(told).encode()).hexdigest()[:4]}"
    return f" ({', '.join(told[:_SHOWN])}{more})"
