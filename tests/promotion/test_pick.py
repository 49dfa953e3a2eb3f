"""Winner and best seed go by the dev score alone."""

import math

import pytest

from components.errors import CseflowError
from components.evaluation.result import RunResult
from components.promotion.pick import best_seed, winner

MINE = {"evaluation.dev": "mine"}


def run(variant: str, seed: int, dev: float | None, test: float = 50.0) -> RunResult:
    return RunResult(variant, seed, "", {"sts/avg": test} | ({} if dev is None else {"sts/STSB-dev": dev}))


def test_the_winner_has_the_best_mean_dev_score_whatever_its_test_score() -> None:
    results = [run("a", 0, 80, test=99), run("a", 1, 90, test=99), run("b", 0, 86, test=1), run("b", 1, 86, test=1)]
    assert winner(results) == "b"


def test_an_excluded_variant_does_not_win() -> None:
    assert winner([run("untrained", 0, 99), run("a", 0, 80)], exclude=["untrained"]) == "a"


@pytest.mark.parametrize("score", [None, math.nan])
def test_a_variant_with_a_seed_unmeasured_does_not_win(score: float | None) -> None:
    assert winner([run("a", 0, 99), run("a", 1, score), run("b", 0, 80)]) == "b"


def test_no_variant_left_is_an_error() -> None:
    with pytest.raises(CseflowError, match="no variant can be judged"):
        winner([run("untrained", 0, 99)], exclude=["untrained"])


def test_the_best_seed_has_the_best_dev_score_whatever_its_test_score() -> None:
    assert best_seed([run("a", 0, 80, test=99), run("a", 1, 81), run("a", 2, math.nan)]).seed == 1


def test_another_dev_task_picks() -> None:
    def by(variant: str, score: float) -> RunResult:
        return RunResult(variant, 0, "", {"sts/STSB-dev": -score, "sts/mine": score}, settings=MINE)

    assert winner([by("a", 80), by("b", 81)]) == "b"


def test_runs_of_several_dev_tasks_are_not_compared() -> None:
    runs = [run("a", 0, 80), RunResult("b", 0, "", {"sts/mine": 90.0}, settings=MINE)]
    with pytest.raises(CseflowError, match=r"several dev tasks \(STSB-dev, mine\), whose scores can't be compared"):
        winner(runs)


def test_of_equal_seeds_the_lowest_is_promoted() -> None:
    assert best_seed([run("a", 2, 80), run("a", 1, 80)]).seed == 1
