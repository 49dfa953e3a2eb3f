"""Paired bootstrap of Spearman's correlation: 10,000 resamples over the 18,850 pairs of STS12 to SICK-R.

Ours ranks by cumulative counts; the peer ranks every resample anew with scipy.stats.spearmanr. Both take the same
resamples, whose gains must agree. The peer's time is linear in the resamples, so that a few of them are timed.
"""

import time
from collections.abc import Iterator

import numpy as np
from scipy.stats import spearmanr

from benchmarks.harness import ROUNDS, Row, Sample, compared, interleaved, main, require
from components.evaluation.bootstrap import resample_indices, resampled_scores

PAIRS = {"STS12": 3108, "STS13": 1500, "STS14": 3750, "STS15": 3000, "STS16": 1186, "STSB": 1379, "SICKR": 4927}
RESAMPLES = 10_000
PEER_RESAMPLES = 32  # timed of the peer, a round
SEED = 0
Scores = dict[str, np.ndarray]


def systems() -> tuple[Scores, Scores, Scores]:
    """Gold scores in steps of 0.2, and two systems that follow them unequally well, by task."""
    generator = np.random.default_rng(SEED)
    gold = {task: generator.integers(0, 26, pairs) / 5 for task, pairs in PAIRS.items()}
    candidate, reference = (
        {task: np.tanh(scores / 5 + generator.normal(0, noise, len(scores))) for task, scores in gold.items()}
        for noise in (0.20, 0.22)
    )
    return gold, candidate, reference


def plain(gold: Scores, candidate: Scores, reference: Scores, drawn: Scores) -> np.ndarray:
    """Gains ×100, the mean over tasks, of each resample: (resamples,)."""
    gains = []
    for k in range(len(next(iter(drawn.values())))):
        differences = []
        for task, rows in drawn.items():
            scores = gold[task][rows[k]]
            ours, theirs = (spearmanr(scores, system[task][rows[k]]).statistic for system in (candidate, reference))
            differences.append(100 * (ours - theirs))
        gains.append(np.mean(differences))
    return np.array(gains)


def measure(quick: bool) -> Iterator[Row]:
    gold, candidate, reference = systems()
    resamples = 1000 if quick else RESAMPLES
    gains: dict[str, np.ndarray] = {}

    def peer() -> Sample:
        start = time.perf_counter()
        drawn = {
            task: resample_indices(task, scores, resamples=PEER_RESAMPLES, seed=SEED) for task, scores in gold.items()
        }
        gains["peer"] = plain(gold, candidate, reference, drawn)
        return Sample(PEER_RESAMPLES, time.perf_counter() - start)

    def ours() -> Sample:
        start = time.perf_counter()
        both = {task: np.stack([candidate[task], reference[task]]) for task in gold}
        scores = resampled_scores(gold, both, resamples=resamples, seed=SEED)
        gains["cseflow"] = np.mean([ours - theirs for ours, theirs in scores.values()], axis=0)
        return Sample(resamples, time.perf_counter() - start)

    samples = interleaved({"peer": peer, "cseflow": ours}, rounds=3 if quick else ROUNDS)
    difference = float(np.abs(gains["cseflow"][:PEER_RESAMPLES] - gains["peer"]).max())
    require(difference < 1e-9, f"the gains of one resample differ by {difference:.1e}")
    yield compared(
        f"paired bootstrap, {resamples:,} resamples over {sum(PAIRS.values()):,} pairs",
        samples,
        peer="scipy in a loop",
        unit="resamples/s",
        at_least=50,
        notes={"pairs": PAIRS, "largest difference of a gain": difference},
        libraries=["scipy"],
    )


if __name__ == "__main__":
    main(__doc__, measure)
