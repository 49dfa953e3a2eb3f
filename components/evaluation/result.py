"""What one finished run has to say; the currency between tracking, report and promotion."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
