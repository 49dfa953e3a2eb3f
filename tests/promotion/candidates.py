"""Made-up candidates and references for the gate."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from components.config.promotion import Promotion
from components.evaluation.result import RunResult
from components.promotion.comparison import Incomparable
from components.promotion.gate import Verdict, judge
from components.promotion.pick import Contender

PAIRS = 300


def run(variant: str, noise: float, seed: int = 0, tasks: Sequence[str] = ("STS12", "STSB")) -> RunResult:
    """An encoder whose cosines are the gold scores under normal noise: the less, the better it scores."""
    gold, cosines, metrics = {}, {}, {}
    for number, task in enumerate(tasks):
        shared = np.random.default_rng(number)
        gold[task] = shared.uniform(0, 5, PAIRS)
        own = np.random.default_rng([number, seed]).normal(size=PAIRS)
        cosines[task] = gold[task] + noise * (shared.normal(size=PAIRS) + 0.05 * own)
        metrics[f"sts/{task}"] = 100 * float(spearmanr(gold[task], cosines[task]).statistic)
    metrics["sts/avg"] = float(np.mean(list(metrics.values())))
    metrics["geometry/heldout/alignment"] = 0.1
    valid = {"corpus": True, "sts": True}
    return RunResult(variant, seed, f"{variant}-{seed}", metrics, {}, gold, cosines, {}, valid)


def rules(*chosen: dict[str, object]) -> Promotion:
    return Promotion.model_validate({"rules": list(chosen)})


GAIN = {"rule": "gain", "minimum": 0.1, "confidence": 0.95, "resamples": 500}
BETTER, WORSE = [run("simcse", 1.0, 0), run("simcse", 1.0, 1)], [run("untrained", 1.2)]


def contender(runs: Sequence[RunResult]) -> Contender:
    """The first of `runs` is the encoder."""
    return Contender(runs[0], runs)


def verdict(
    promotion: Promotion, candidate: Sequence[RunResult] = BETTER, reference: Sequence[RunResult] = WORSE
) -> Verdict:
    other = contender(reference) if reference else Incomparable("there is no finished run of the reference")
    return judge(contender(candidate), other, promotion, reference_name="untrained", seed=0)
