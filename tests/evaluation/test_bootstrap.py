"""The bootstrap by counts against one that sorts every resample anew."""

import os

import numpy as np
import pytest
from scipy.stats import spearmanr

from components.evaluation.bootstrap import paired_bootstrap, resample_indices

rng = np.random.default_rng(0)
GOLD = {"A": rng.integers(0, 6, 60) * 1.0, "B": rng.random(41)}
# The first seed of each is rounded, so that there are ties, the others are not; three seeds against two.
BETTER = {task: gold + rng.normal(0, 0.5, (3, len(gold))) for task, gold in GOLD.items()}
WORSE = {task: gold + rng.normal(0, 2.0, (2, len(gold))) for task, gold in GOLD.items()}
for systems in (*BETTER.values(), *WORSE.values()):
    systems[0] = np.round(systems[0], 1)


def correlation(gold: np.ndarray, systems: np.ndarray) -> float:
    return float(np.mean([100 * spearmanr(gold, system).statistic for system in systems]))


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
    resampled = paired_bootstrap(GOLD, BETTER, WORSE, resamples=70, seed=5).resampled
    np.testing.assert_allclose(resampled, plain, atol=1e-9)


def test_the_observed_gain_is_the_mean_over_tasks() -> None:
    result = paired_bootstrap(GOLD, BETTER, WORSE, resamples=1)
    gains = {task: correlation(gold, BETTER[task]) - correlation(gold, WORSE[task]) for task, gold in GOLD.items()}
    assert result.task_gains == pytest.approx(gains)
    assert result.gain == pytest.approx(np.mean(list(gains.values())))


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    many = paired_bootstrap(GOLD, BETTER, WORSE, resamples=100).resampled
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    np.testing.assert_array_equal(paired_bootstrap(GOLD, BETTER, WORSE, resamples=100).resampled, many)


def test_a_clear_gain_is_significant_and_its_interval_holds_it() -> None:
    result = paired_bootstrap(GOLD, BETTER, WORSE, resamples=500)
    low, high = result.interval(0.9)
    assert 0 < low < result.gain < high and result.p_value < 0.01


def test_a_system_gains_nothing_over_itself() -> None:
    result = paired_bootstrap(GOLD, BETTER, BETTER, resamples=50)
    assert result.p_value == 1 and not result.resampled.any()


def test_a_constant_system_counts_as_no_correlation() -> None:
    flat = {task: np.ones(len(gold)) for task, gold in GOLD.items()}
    assert np.isfinite(paired_bootstrap(GOLD, flat, WORSE, resamples=20).resampled).all()


@pytest.mark.parametrize(
    ("candidate", "complaint"),
    [
        ({"A": BETTER["A"]}, "same tasks"),
        (BETTER | {"A": BETTER["B"]}, "A: .* same pairs"),
        (BETTER | {"A": np.full(60, np.nan)}, "A: .* not finite"),
    ],
)
def test_systems_that_do_not_match_are_refused(candidate: dict[str, np.ndarray], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        paired_bootstrap(GOLD, candidate, WORSE, resamples=1)
