"""The gate: what passes, what fails, and what must never pass in silence."""

import math
from dataclasses import replace

import numpy as np
import pytest
from candidates import BETTER, GAIN, PAIRS, WORSE, rules, run, verdict

from components.evaluation.bootstrap import paired_bootstrap
from components.evaluation.result import RunResult
from components.promotion.comparison import compare
from components.promotion.gate import judge


def test_a_better_encoder_passes_all_rules() -> None:
    promotion = rules(
        GAIN,
        {"rule": "floor", "metric": "sts/STSB", "minimum": 70.0},
        {"rule": "regression", "maximum": 0.5},
        {"rule": "validations"},
        {"rule": "bounds", "metric": "geometry/heldout/alignment", "minimum": 0.0, "maximum": 0.5},
    )
    assert [outcome.passed for outcome in verdict(promotion).outcomes] == [True] * 5


def test_the_verdict_fails_with_any_rule() -> None:
    assert not verdict(rules(GAIN, {"rule": "floor", "metric": "sts/STSB", "minimum": 99.0})).passed


def test_a_gain_below_the_minimum_fails_though_significant() -> None:
    assert "too small" in verdict(rules(GAIN | {"minimum": 50.0})).outcomes[0].reason


def test_a_gain_that_luck_explains_fails_though_large_enough() -> None:
    small = [run("a", 1.0, 0)], [run("b", 1.0, 5)]
    gains = [verdict(rules(GAIN | {"minimum": -5.0}), *sides).outcomes[0] for sides in (small, small[::-1])]
    assert all("luck" in outcome.reason and not outcome.passed for outcome in gains)


def test_the_lower_bound_is_the_quantile_of_the_resampled_gains() -> None:
    average = compare(BETTER, WORSE, resamples=500, seed=3)["avg"]
    assert average.lower_bound(0.9) == pytest.approx(np.quantile(average.bootstrap.resampled, 0.1))


def test_the_average_is_the_joint_bootstrap_of_all_tasks() -> None:
    ours = compare(BETTER, WORSE, resamples=200, seed=3)["avg"].bootstrap.resampled
    stacked = [{task: np.stack([r.cosines[task] for r in runs]) for task in runs[0].gold} for runs in (BETTER, WORSE)]
    joint = paired_bootstrap(WORSE[0].gold, *stacked, resamples=200, seed=3)
    np.testing.assert_allclose(ours, joint.resampled, atol=1e-9)


def test_the_candidate_counts_by_the_mean_of_its_seeds() -> None:
    low, high = (replace(BETTER[0], seed=s, metrics={"sts/STSB": score}) for s, score in enumerate([70.0, 80.0]))
    floor = {"rule": "floor", "metric": "sts/STSB", "minimum": 75.0}
    assert verdict(rules(floor), [low, high]).passed


def test_one_task_that_falls_is_named() -> None:
    bad, good = run("simcse", 2.0), run("simcse", 0.5)
    mixed = replace(
        bad,
        cosines={"STS12": bad.cosines["STS12"], "STSB": good.cosines["STSB"]},
        metrics=good.metrics | {"sts/STS12": bad.metrics["sts/STS12"]},
    )
    mixed.metrics["sts/avg"] = (mixed.metrics["sts/STS12"] + mixed.metrics["sts/STSB"]) / 2
    outcome = verdict(rules({"rule": "regression", "maximum": 0.5}), [mixed]).outcomes[0]
    assert (outcome.passed, outcome.reason.split()[0]) == (False, "STS12")


@pytest.mark.parametrize(
    ("bounds", "passed"), [((0.0, 0.1), True), ((0.1, 0.2), True), ((0.11, 0.2), False), ((0.0, 0.09), False)]
)
def test_bounds_hold_their_ends(bounds: tuple[float, float], passed: bool) -> None:
    rule = {"rule": "bounds", "metric": "geometry/heldout/alignment", "minimum": bounds[0], "maximum": bounds[1]}
    assert verdict(rules(rule)).passed is passed


@pytest.mark.parametrize("validations", [{}, {"corpus": True, "sts": False}])
def test_data_without_the_right_to_pass_fails(validations: dict[str, bool]) -> None:
    candidate = [BETTER[0], replace(BETTER[1], validations=validations)]
    assert not verdict(rules({"rule": "validations"}), candidate).passed


def test_a_failed_validation_is_named() -> None:
    candidate = [replace(BETTER[0], validations={"corpus": True, "tuples": False})]
    assert verdict(rules({"rule": "validations"}), candidate).outcomes[0].reason == "The validation of tuples failed."


def test_figures_that_round_to_the_bound_are_told_apart() -> None:
    candidate = [replace(BETTER[0], metrics={"sts/STSB": 79.9996})]
    reason = verdict(rules({"rule": "floor", "metric": "sts/STSB", "minimum": 80.0}), candidate).outcomes[0].reason
    assert "79.9996" in reason


ALL = rules(
    GAIN,
    {"rule": "floor", "metric": "sts/STSB", "minimum": 0.0},
    {"rule": "regression", "maximum": 100.0},
    {"rule": "bounds", "metric": "sts/STSB", "minimum": -100.0, "maximum": 100.0},
    {"rule": "validations"},
)


def without(result: RunResult, metric: str, value: float | None = None) -> RunResult:
    metrics = {name: score for name, score in result.metrics.items() if name != metric}
    return replace(result, metrics=metrics if value is None else metrics | {metric: value})


def shifted(result: RunResult) -> RunResult:
    return replace(result, gold={task: values[::-1].copy() for task, values in result.gold.items()})


def broken(result: RunResult) -> RunResult:
    return replace(result, cosines={task: np.full(PAIRS, np.nan) for task in result.cosines})


@pytest.mark.parametrize(
    ("candidate", "reference", "failing"),
    [
        pytest.param([], WORSE, 5, id="no candidate"),
        pytest.param(BETTER, [], 2, id="no reference"),
        pytest.param([BETTER[0], run("esimcse", 1.0)], WORSE, 5, id="several variants"),
        pytest.param([BETTER[0], without(BETTER[1], "sts/STSB")], WORSE, 4, id="missing metric"),
        pytest.param([BETTER[0], without(BETTER[1], "sts/STSB", math.nan)], WORSE, 4, id="NaN metric"),
        pytest.param([without(BETTER[0], "sts/avg", 99.0)], WORSE, 2, id="average not that of the cosines"),
        pytest.param(BETTER, [without(WORSE[0], "sts/avg", math.inf)], 2, id="infinite reference"),
        pytest.param(BETTER, [shifted(WORSE[0])], 2, id="other pairs"),
        pytest.param(BETTER, [run("untrained", 1.2, tasks=["STSB"])], 2, id="other tasks"),
        pytest.param([BETTER[0], broken(BETTER[1])], WORSE, 2, id="NaN cosines"),
        pytest.param([replace(BETTER[0], gold={}, cosines={})], WORSE, 2, id="no pairs kept"),
    ],
)
def test_what_cannot_be_judged_has_failed(candidate: list[RunResult], reference: list[RunResult], failing: int) -> None:
    outcomes = verdict(ALL, candidate, reference).outcomes
    failed = [outcome for outcome in outcomes if not outcome.passed]
    assert len(failed) == failing
    assert all(outcome.reason.startswith("Can't be judged: ") for outcome in failed)


def test_the_champion_does_not_beat_itself() -> None:
    assert "itself" in judge(BETTER, BETTER, rules(GAIN), reference_name="champion", seed=0).outcomes[0].reason
