"""The bootstrap by counts against one that sorts every resample anew."""

import os

import numpy as np
import pytest
from scipy.stats import spearmanr

from components.evaluation.bootstrap import PairedBootstrap, resample_indices, resampled_scores

rng = np.random.default_rng(0)
GOLD = {"A": rng.integers(0, 6, 60) * 1.0, "B": rng.random(41)}
# The first seed of each is rounded, so that there are ties, the others are not; three seeds against two.
BETTER = {task: gold + rng.normal(0, 0.5, (3, len(gold))) for task, gold in GOLD.items()}
WORSE = {task: gold + rng.normal(0, 2.0, (2, len(gold))) for task, gold in GOLD.items()}
for systems in (*BETTER.values(), *WORSE.values()):
    systems[0] = np.round(systems[0], 1)


def correlation(gold: np.ndarray, systems: np.ndarray) -> float:
    return float(np.mean([100 * spearmanr(gold, system).statistic for system in systems]))


Systems = dict[str, np.ndarray]


def gains(candidate: Systems, reference: Systems, resamples: int, seed: int = 0) -> np.ndarray:
    """Of the mean over seeds, the mean over tasks: (resamples,)."""
    both = {task: np.concatenate([candidate[task], reference[task]]) for task in GOLD}
    scores = resampled_scores(GOLD, both, resamples=resamples, seed=seed)
    parted = [(scores[task], len(candidate[task])) for task in GOLD]
    return np.mean([rows[:seeds].mean(axis=0) - rows[seeds:].mean(axis=0) for rows, seeds in parted], axis=0)


def test_every_resample_is_what_scipy_makes_of_it() -> None:
    drawn = {task: resample_indices(task, gold, resamples=70, seed=5) for task, gold in GOLD.items()}
    plain = [
        np.mean([
            correlation(GOLD[t][drawn[t][k]], BETTER[t][:, drawn[t][k]])
            - correlation(GOLD[t][drawn[t][k]], WORSE[t][:, drawn[t][k]])
            for t in GOLD
        ])
        for k in range(70)
    ]  # fmt: skip
    np.testing.assert_allclose(gains(BETTER, WORSE, 70, seed=5), plain, atol=1e-9)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    many = gains(BETTER, WORSE, 100)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    np.testing.assert_array_equal(gains(BETTER, WORSE, 100), many)


def test_a_clear_gain_is_significant_and_its_interval_holds_it() -> None:
    observed = float(np.mean([correlation(GOLD[t], BETTER[t]) - correlation(GOLD[t], WORSE[t]) for t in GOLD]))
    result = PairedBootstrap(observed, {}, gains(BETTER, WORSE, 500))
    low, high = result.interval(0.9)
    assert 0 < low < result.gain < high and result.p_value < 0.01


def test_a_system_gains_nothing_over_itself() -> None:
    result = PairedBootstrap(0.0, {}, gains(BETTER, BETTER, 50))
    assert result.p_value == 1 and not result.resampled.any()


def test_a_constant_system_counts_as_no_correlation() -> None:
    flat = {task: np.ones((1, len(gold))) for task, gold in GOLD.items()}
    assert np.isfinite(gains(flat, WORSE, 20)).all()


@pytest.mark.parametrize(
    ("systems", "complaint"),
    [
        ({"A": BETTER["A"]}, "same tasks"),
        (BETTER | {"A": BETTER["B"]}, "A: .* same pairs"),
        (BETTER | {"A": np.full(60, np.nan)}, "A: .* not finite"),
    ],
)
def test_systems_that_do_not_match_are_refused(systems: dict[str, np.ndarray], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        resampled_scores(GOLD, systems, resamples=1)
