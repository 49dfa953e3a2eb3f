"""The gate: what passes, what fails, and what must never pass in silence."""

import math
from dataclasses import replace

import numpy as np
import pytest
from candidates import BETTER, GAIN, PAIRS, WORSE, contender, rules, run, verdict
from scipy.stats import spearmanr

from components.evaluation.bootstrap import resampled_scores
from components.evaluation.result import RunResult
from components.promotion import pick
from components.promotion.comparison import Comparisons, Incomparable
from components.promotion.gate import judge
from components.promotion.verdict import verdict_text


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


def test_a_gain_that_noise_explains_fails_though_large_enough() -> None:
    small = [run("a", 1.0, 0)], [run("b", 1.0, 5)]
    gains = [verdict(rules(GAIN | {"minimum": -5.0}), *sides).outcomes[0] for sides in (small, small[::-1])]
    assert all("not statistically significant" in outcome.reason and not outcome.passed for outcome in gains)


def test_the_average_is_the_joint_bootstrap_of_all_tasks() -> None:
    candidate, reference = BETTER[0], WORSE[0]
    compared = Comparisons([candidate, *WORSE], resamples=200, seed=3).compare([candidate], WORSE)["avg"].bootstrap
    gold = reference.gold
    both = {task: np.stack([candidate.cosines[task], reference.cosines[task]]) for task in gold}
    scores = resampled_scores(gold, both, resamples=200, seed=3)
    joint = np.mean([ours - theirs for ours, theirs in scores.values()], axis=0)
    np.testing.assert_allclose(compared.resampled, joint, atol=1e-9)
    plain = [
        100 * spearmanr(gold[t], both[t][0]).statistic - 100 * spearmanr(gold[t], both[t][1]).statistic for t in gold
    ]
    assert compared.task_gains == pytest.approx(dict(zip(gold, plain, strict=True)))
    assert compared.gain == pytest.approx(np.mean(plain))


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
        pytest.param(BETTER, [], 2, id="no reference"),
        pytest.param([BETTER[0], run("esimcse", 1.0)], WORSE, 5, id="several variants"),
        pytest.param([BETTER[0], replace(BETTER[0], run_id="again")], WORSE, 5, id="one seed twice"),
        pytest.param([without(BETTER[0], "sts/STSB")], WORSE, 4, id="missing metric"),
        pytest.param([without(BETTER[0], "sts/STSB", math.nan)], WORSE, 4, id="NaN metric"),
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
    same = contender(BETTER)
    verdict = judge(same, same, rules(GAIN, {"rule": "seeds"}), reference_name="champion", seed=0)
    assert all("itself" in outcome.reason for outcome in verdict.outcomes)


def with_score(variant: str, seed: int, score: float, dev: float) -> RunResult:
    """A run whose Spearman on STSB is about `score` ×100 by construction of its cosines, and exactly as logged."""
    noise = float(np.sqrt(1 / (score / 100) ** 2 - 1))
    made = run(variant, noise, seed, tasks=["STSB"])
    gold = (made.gold["STSB"] - made.gold["STSB"].mean()) / made.gold["STSB"].std()
    error = np.random.default_rng(7).normal(size=PAIRS)
    cosines = gold + noise * error
    logged = 100 * float(spearmanr(gold, cosines).statistic)
    metrics = made.metrics | {"sts/STSB": logged, "sts/avg": logged, "sts/STSB-dev": dev}
    return replace(made, cosines={"STSB": cosines}, metrics=metrics)


CHAMPION = with_score("arccse", 0, 79.19, 80.0)
GOOD, BAD = with_score("simcse", 0, 86.77, 81.0), with_score("simcse", 1, 77.92, 82.0)
SEEDS = {"rule": "seeds", "minimum_seeds": 2, "minimum_gain": 0.1}


def test_the_encoder_that_is_promoted_must_pass_not_the_mean_of_its_seeds() -> None:
    picked = pick.contender([GOOD, BAD])
    promotion = rules(GAIN, {"rule": "regression", "maximum": 0.5})
    verdict = judge(picked, contender([CHAMPION]), promotion, reference_name="champion", seed=0)
    assert [outcome.passed for outcome in verdict.outcomes] == [False, False]
    assert verdict.means["avg"].gain > 1 > 0 > verdict.encoders["avg"].gain


def test_the_mean_over_seeds_must_pass_not_the_best_seed_alone() -> None:
    weak = [replace(BAD, seed=seed, run_id=f"weak-{seed}") for seed in (1, 2, 3)]
    candidate = pick.Contender(GOOD, [GOOD, *weak])
    outcomes = judge(candidate, contender([CHAMPION]), rules(GAIN, SEEDS), reference_name="champion", seed=0).outcomes
    assert [outcome.passed for outcome in outcomes] == [True, False]


@pytest.mark.parametrize(("minimum", "passed"), [(1, True), (2, False)])
def test_one_seed_passes_only_where_one_is_enough(minimum: int, passed: bool) -> None:
    (outcome,) = verdict(rules(SEEDS | {"minimum_seeds": minimum}), BETTER[:1]).outcomes
    assert (outcome.passed, "too few seeds" in outcome.reason) == (passed, not passed)
    assert "one seed has no spread" in outcome.reason


def test_the_seeds_interval_is_wider_where_seeds_differ() -> None:
    def width(seeds: list[RunResult]) -> float:
        low, high = Comparisons([*seeds, CHAMPION], resamples=500).compare(seeds, [CHAMPION])["avg"].interval
        return high - low

    spread = [GOOD, replace(BAD, run_id="other")]
    assert width(spread) > 2 * width([GOOD, replace(GOOD, seed=1, run_id="twin")])


def test_bootstrapped_seeds_spread_as_their_mean_does() -> None:
    scores = [[70.0, 74.0, 81.0], [60.0]]
    sides = [[with_score(f"v{k}", seed, score, 0) for seed, score in enumerate(side)] for k, side in enumerate(scores)]
    logged = [run.metrics["sts/STSB"] for run in sides[0]]
    both = Comparisons([run for side in sides for run in side], resamples=20_000)
    drawn = both._drawn_seeds(sides[0])
    means = np.take(logged, drawn).mean(axis=0)
    assert means.std() == pytest.approx(np.std(logged, ddof=1) / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize(
    ("champion", "reason"),
    [
        (Incomparable("the alias champion of cse-encoder leads to nothing: cseflow rollback"), "leads to nothing"),
        (contender([run("untrained", 1.2, tasks=["STSB"])]), "on STSB"),
    ],
)
def test_a_champion_that_cannot_be_compared_gets_one_sentence_with_the_way_on(
    champion: pick.Contender | Incomparable, reason: str
) -> None:
    found = judge(contender(BETTER), champion, ALL, reference_name="champion", seed=0)
    (advice,) = [line for line in verdict_text(found, "cse-encoder", width=1000).splitlines() if "alias" in line]
    assert not found.passed
    assert all(part in advice for part in (reason, "The alias champion of cse-encoder", "cseflow rollback"))


def test_a_candidate_at_fault_is_not_blamed_on_the_champion() -> None:
    candidate = contender([broken(BETTER[0])])
    assert not judge(candidate, contender(WORSE), ALL, reference_name="champion", seed=0).obstacle
