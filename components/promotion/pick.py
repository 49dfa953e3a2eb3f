"""Which variant is judged by the gate, and which of its seeds would be promoted: by dev score, never by test."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

from components.config.evaluation import STSB_DEV
from components.errors import CseflowError
from components.evaluation.result import RunResult


@dataclass(frozen=True)
class Contender:
    """What the gate compares.

    Attributes:
        encoder: the very run whose encoder would be promoted, or is champion.
        seeds: the finished runs of its variant, one per seed; `encoder` is among them.
    """

    encoder: RunResult
    seeds: Sequence[RunResult]


def contender(seeds: Sequence[RunResult]) -> Contender:
    """The runs of one variant, with the best seed by dev as the encoder.

    Raises:
        CseflowError: no run has a finite dev score.
    """
    return Contender(best_seed(seeds), seeds)


def winner(results: Sequence[RunResult], exclude: Collection[str] = ()) -> str:
    """The variant with the highest mean of its dev scores over its seeds; of equals, the first in `results`.

    `exclude` names variants that are no candidates (the untrained encoder). A variant of which a run lacks the score
    is none either: its mean would be that of a subset.

    Raises:
        CseflowError: no variant is left, or the runs have several dev tasks.
    """
    dev = _dev_task(results)
    scores: dict[str, list[float]] = {}
    for result in results:
        if result.variant not in exclude:
            scores.setdefault(result.variant, []).append(result.dev_score)
    means = {variant: fmean(values) for variant, values in scores.items() if all(map(math.isfinite, values))}
    if not means:
        raise CseflowError(
            f"no variant can be judged by the gate: none of {', '.join(scores) or 'the runs'} has a finite sts/{dev} "
            f"for every seed; train one, or see why its runs failed"
        )
    return max(means, key=means.__getitem__)


def best_seed(results: Sequence[RunResult]) -> RunResult:
    """The run with the highest dev score; of equals, the one with the lowest seed.

    Raises:
        CseflowError: no run has a finite score, or the runs have several dev tasks.
    """
    dev = _dev_task(results)
    scored = [result for result in results if math.isfinite(result.dev_score)]
    if not scored:
        raise CseflowError(f"no run with a finite sts/{dev}: nothing to promote")
    return max(scored, key=lambda result: (result.dev_score, -result.seed))


def _dev_task(results: Sequence[RunResult]) -> str:
    """The task that picks among `results`."""
    tasks = list(dict.fromkeys(result.dev for result in results))
    if len(tasks) > 1:
        raise CseflowError(
            f"the runs were picked by several dev tasks ({', '.join(tasks)}), whose scores can't be compared; name "
            "runs of one evaluation.dev"
        )
    return tasks[0] if tasks else STSB_DEV
