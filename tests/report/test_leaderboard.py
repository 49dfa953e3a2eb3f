"""The leaderboard's figures, order and gaps."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic import experiment

from components.evaluation.result import RunResult
from components.promotion.comparison import compare
from components.report.leaderboard import Leaderboard, leaderboard
from components.report.summary import mean_curve

RESULTS = experiment(["untrained", "simcse", "cse-mix"], tasks=["STSB", "SICKR"])


def board(results: list[RunResult], reference: str = "untrained") -> Leaderboard:
    return leaderboard(results, reference, resamples=200, seed=1)


def cell(table: Leaderboard, variant: str, key: str) -> str:
    place = [column.key for column in table.columns].index(key)
    row = next(row for row in table.rows if row.variant == variant)
    return row.cells[place].text(table.columns[place].digits)


def without(result: RunResult, metric: str) -> RunResult:
    return replace(result, metrics={name: value for name, value in result.metrics.items() if name != metric})


def test_a_score_is_the_mean_and_sample_deviation_of_the_seeds() -> None:
    scores = [run.metrics["sts/STSB"] for run in RESULTS if run.variant == "simcse"]
    expected = f"{np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f}"
    assert cell(board(RESULTS), "simcse", "sts/STSB") == expected


def test_the_best_average_comes_first() -> None:
    averages = [row.cells[2].mean for row in board(RESULTS).rows]
    assert averages == sorted(averages, reverse=True)


def test_the_gain_is_the_gate_s() -> None:
    groups = [[run for run in RESULTS if run.variant == variant] for variant in ("cse-mix", "untrained")]
    expected = compare(*groups, resamples=200, seed=1)["avg"].bootstrap
    row = board(RESULTS).rows[0]
    assert row.average is not None
    assert (row.average.gain, row.average.bootstrap.interval()) == (expected.gain, expected.interval())


def test_a_gain_that_luck_explains_is_marked_so() -> None:
    twins = [run for run in RESULTS if run.variant != "cse-mix"]
    twins += [replace(run, variant="twin") for run in twins if run.variant == "untrained"]
    assert next(row for row in board(twins).rows if row.variant == "twin").gain == "0.00 ≈"


def test_one_seed_has_no_deviation() -> None:
    assert "±" not in cell(board(RESULTS), "untrained", "sts/STSB")


def test_what_no_seed_has_is_a_dash() -> None:
    assert cell(board(RESULTS), "untrained", "rfd/alignment") == "–"


def test_what_some_seeds_lack_says_how_many_have_it() -> None:
    results = [without(run, "sts/STSB-dev") if run.seed == 0 else run for run in RESULTS]
    assert cell(board(results), "simcse", "sts/STSB-dev").endswith("(2 of 3)")


def test_a_missing_reference_leaves_gains_open_and_says_why() -> None:
    table = board(RESULTS, reference="absent")
    assert [row.gain for row in table.rows] == ["–"] * 3
    assert "simcse has no gain: there is no finished run of the reference." in table.notes


def test_json_has_null_for_what_is_missing() -> None:
    rows = {row["variant"]: row for row in json.loads(board(RESULTS).as_json())["rows"]}
    assert rows["untrained"]["rfd/alignment"] is None


def test_csv_reads_back_unrounded() -> None:
    table = board(RESULTS)
    rows = {row["variant"]: row for row in csv.DictReader(io.StringIO(table.as_csv()))}
    assert float(rows["simcse"]["sts/avg"]) == pytest.approx(table.rows[-2].cells[2].mean, abs=0)


def test_every_reader_sees_every_variant() -> None:
    table = board(RESULTS)
    texts = [table.text(), table.markdown(), table.as_json(), table.as_csv()]
    assert all(row.variant in text for row in table.rows for text in texts)


def test_a_mean_curve_takes_each_step_from_the_runs_that_have_it() -> None:
    points = [[(0, 1.0), (10, 3.0)], [(0, 2.0), (10, math.nan), (20, 5.0)]]
    curve = mean_curve([RunResult("a", k, "", {}, {"m": p}) for k, p in enumerate(points)], "m")
    assert (curve.steps.tolist(), curve.mean.tolist()) == ([0, 10, 20], [1.5, 3.0, 5.0])
