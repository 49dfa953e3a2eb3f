"""Made-up results with the shape of a real experiment: an untrained reference, and variants × seeds around it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from components.evaluation.result import RunResult

VARIANTS = [
    "untrained",
    "simcse",
    "simcse-sup",
    "simcse-token-shuffle",
    "simcse-token-cutoff",
    "esimcse",
    "esimcse-repetition",
    "esimcse-momentum",
    "arccse",
    "arccse-arccon",
    "ngcse-nli",
    "ngcse-sts",
    "ngcse-sts-ht",
    "cse-mix",
]
TASKS = ["STS12", "STS13", "STS14", "STS15", "STS16", "STSB", "SICKR"]


def experiment(
    variants: Sequence[str] = VARIANTS, seeds: Sequence[int] = (0, 1, 2), tasks: Sequence[str] = TASKS, pairs: int = 150
) -> list[RunResult]:
    """One result per variant and seed; `untrained` has one seed, a curve of step 0 alone, and no fitting difficulty."""
    return [
        _run(variant, VARIANTS.index(variant), seed, tasks, pairs)
        for variant in variants
        for seed in (seeds if variant != "untrained" else seeds[:1])
    ]


def _run(variant: str, rank: int, seed: int, tasks: Sequence[str], pairs: int) -> RunResult:
    rng = np.random.default_rng([rank, seed])
    trained = variant != "untrained"
    gold, cosines, metrics = {}, {}, {}
    for number, task in enumerate(tasks):
        shared = np.random.default_rng(number)
        gold[task] = np.round(shared.uniform(0, 5, pairs), 1)
        noise = shared.normal(size=pairs)  # the base encoder's own errors, which training hardly moves
        own = rng.normal(size=pairs)
        cosines[task] = np.tanh((gold[task] - 2.5) / 3 + (0.42 - 0.004 * rank * trained) * noise + 0.05 * trained * own)
        metrics[f"sts/{task}"] = 100 * float(spearmanr(gold[task], cosines[task]).statistic)
        short, long = metrics[f"sts/{task}"] + rng.normal(1.5, 0.4), metrics[f"sts/{task}"] - rng.normal(2, 0.4)
        metrics |= {f"length_bias/{task}/short": short, f"length_bias/{task}/long": long}
        metrics[f"length_bias/{task}/gap"] = short - long
    metrics["sts/avg"] = float(np.mean([metrics[f"sts/{task}"] for task in tasks]))
    steps = np.arange(0, 41, 10) if trained else np.array([0])
    way = steps / 40
    curves = {
        "sts/STSB-dev": 86.6 + (0.1 * rank - 0.4) * way + rng.normal(0, 0.08, len(steps)) * (steps > 0),
        "geometry/heldout/alignment": 0.11 - 0.05 * way * rng.uniform(0.5, 1.3) + 0.008 * rank * (way > 0) * way,
        "geometry/heldout/uniformity": -3.0 - 0.4 * way * rng.uniform(0.8, 1.1) - 0.03 * rank * way,
        "geometry/STSB-dev/alignment": 0.20 + 0.01 * rank * way + 0.02 * way * rng.normal(),
        "geometry/STSB-dev/uniformity": -2.8 - 0.3 * way - 0.05 * rank * way * rng.uniform(0.8, 1.2),
    }
    metrics |= {name: float(values[-1]) for name, values in curves.items()}
    points = {name: list(zip(steps.tolist(), values.tolist(), strict=True)) for name, values in curves.items()}
    if trained:
        for kind in ("alignment", "uniformity"):
            gap = curves[f"geometry/heldout/{kind}"] - curves[f"geometry/STSB-dev/{kind}"]
            metrics[f"rfd/{kind}"] = float(gap[1:].mean())
        loss = np.arange(1, 41)
        values = (0.05 + 0.1 * (rank % 5)) * np.exp(-loss / 15) + 0.02 + 0.004 * rng.random(40)
        points["train/loss"] = list(zip(loss.tolist(), values.tolist(), strict=True))
    return RunResult(
        variant=variant,
        seed=seed,
        run_id=f"{variant}-{seed}",
        metrics=metrics,
        curves=points,
        gold=gold,
        cosines=cosines,
        patterns=_patterns(variant, rng),
        validations={"corpus": True, "sts": True},
    )


def _patterns(variant: str, rng: np.random.Generator) -> dict[str, Any]:
    """STS-B dev for all; held-out pairs by the variant's family, generated tuples for those that train on them."""
    family = variant.split("-")[0]
    spread = {"simcse": 0.02, "esimcse": 0.15, "arccse": 0.3}.get(family, 0.02)
    patterns = {"STSB-dev": _pattern(np.random.default_rng(0), rng, 0.35, 0.75)}
    if variant != "untrained":
        patterns["heldout"] = _pattern(np.random.default_rng(1), rng, spread, 0.95)
    if family == "ngcse":
        patterns["tuples"] = _pattern(np.random.default_rng(2), rng, 0.55, 0.6)
    return patterns


def _pattern(
    words: np.random.Generator, encoder: np.random.Generator, positive: float, negative: float
) -> dict[str, Any]:
    def histogram(values: np.ndarray, edges: np.ndarray) -> dict[str, Any]:
        values = np.clip(values, edges[0], edges[-1])
        counts, _ = np.histogram(values, edges)
        return {"edges": edges.tolist(), "counts": counts.tolist(), "mean": float(values.mean())}

    return {
        side: {
            "match_error_rate": histogram(words.normal(rate, 0.12, 500), np.linspace(0, 1, 21)),
            "cosine": histogram(encoder.normal(1.1 - rate, 0.15, 500), np.linspace(-1, 1, 41)),
        }
        for side, rate in {"positive": positive, "negative": negative}.items()
    }
