"""The leaderboard's figures, order and gaps."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic import TASKS, experiment

from components.config.promotion import Promotion
from components.evaluation.bootstrap import PairedBootstrap
from components.evaluation.result import RunResult
from components.promotion.comparison import Comparisons
from components.promotion.gate import judge
from components.promotion.pick import contender
from components.promotion.verdict import verdict_markdown
from components.report.leaderboard import Leaderboard, leaderboard, letters_of
from components.report.summary import by_variant, mean_curve

RESULTS = experiment(["untrained", "simcse", "cse-mix"], tasks=["STSB", "SICKR"])


def board(results: list[RunResult], reference: str = "untrained") -> Leaderboard:
    return leaderboard(results, reference, resamples=200, seed=1)


def cell(table: Leaderboard, variant: str, key: str) -> str:
    place = [column.key for column in table.columns].index(key)
    row = next(row for row in table.rows if row.variant == variant)
    return row.cells[place].text(table.columns[place].digits)


def without(result: RunResult, metric: str) -> RunResult:
    return replace(result, metrics={name: value for name, value in result.metrics.items() if name != metric})


def test_each_dev_task_has_columns_and_is_no_task_of_the_average() -> None:
    mine = [
        replace(run, settings={"evaluation.dev": "mine"}, metrics=run.metrics | {"sts/mine": 70.0})
        for run in RESULTS[-1:]
    ]
    keys = [column.key for column in board([*RESULTS[:-1], *mine]).columns]
    assert keys[:5] == ["sts/STSB", "sts/SICKR", "sts/avg", "sts/STSB-dev", "sts/mine"]
    assert "geometry/mine/alignment" in keys


def test_a_score_is_the_mean_and_sample_deviation_of_the_seeds() -> None:
    scores = [run.metrics["sts/STSB"] for run in RESULTS if run.variant == "simcse"]
    expected = f"{np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f}"
    assert cell(board(RESULTS), "simcse", "sts/STSB") == expected


def test_the_best_average_comes_first() -> None:
    averages = [row.cells[2].mean for row in board(RESULTS).rows]
    assert averages == sorted(averages, reverse=True)


def test_the_gain_is_the_gate_s() -> None:
    groups = [[run for run in RESULTS if run.variant == variant] for variant in ("cse-mix", "untrained")]
    expected = (
        Comparisons([run for runs in groups for run in runs], resamples=200, seed=1).compare(*groups)["avg"].bootstrap
    )
    row = board(RESULTS).rows[0]
    assert row.average is not None
    assert (row.average.gain, row.average.bootstrap.interval()) == (expected.gain, expected.interval())


def test_gate_and_leaderboard_state_one_figure() -> None:
    groups = {variant: [run for run in RESULTS if run.variant == variant] for variant in ("cse-mix", "untrained")}
    rule = {"rule": "gain", "minimum": 0.1, "confidence": 0.9, "resamples": 300}
    promotion = Promotion.model_validate({"rules": [rule, {"rule": "seeds"}]})
    sides = [contender(runs) for runs in groups.values()]
    verdict = judge(sides[0], sides[1], promotion, reference_name="untrained", seed=5)
    row = leaderboard(RESULTS, "untrained", resamples=300, confidence=0.9, seed=5).rows[0]
    report = verdict_markdown(verdict, "cse-encoder")
    assert f"| {row.gain} | {row.interval} |" in report
    assert row.interval in verdict.outcomes[1].reason and verdict.outcomes[1].passed == (row.mark == "▲")


def test_variants_that_share_a_letter_are_not_told_apart() -> None:
    twin = [replace(run, variant="twin", run_id=f"twin-{run.seed}") for run in RESULTS if run.variant == "simcse"]
    groups = {row.variant: row.groups for row in leaderboard([*RESULTS, *twin], "untrained", resamples=1000).rows}
    assert groups["twin"] == groups["simcse"] != groups["cse-mix"]


def pairs(*names: str) -> set[frozenset[str]]:
    return {frozenset(name) for name in names}


@pytest.mark.parametrize(
    ("alike", "letters"),
    [
        ((), {"a": "a", "b": "b", "c": "c"}),
        (("ab", "bc"), {"a": "a", "b": "a b", "c": "b"}),
        (("ab", "bc", "ac"), {"a": "a", "b": "a", "c": "a"}),
    ],
)
def test_a_letter_is_a_set_of_which_no_two_are_told_apart(alike: tuple[str, ...], letters: dict[str, str]) -> None:
    apart = {pair: pair not in pairs(*alike) for pair in pairs("ab", "ac", "bc")}
    assert letters_of(["a", "b", "c"], apart) == letters


def test_holm_corrects_for_the_number_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.01, 0.03, 0.04])  # 0.01 · 3 and 0.04 · 1 pass 0.05, but 0.03 · 2 stops the procedure
    monkeypatch.setattr(PairedBootstrap, "p_value", property(lambda _: next(values)))
    apart = Comparisons(RESULTS, resamples=200).told_apart(by_variant(RESULTS))
    assert list(apart.values()) == [True, False, False]


def test_too_few_resamples_for_so_many_pairs_leave_groups_open_and_say_so() -> None:
    table = leaderboard(RESULTS, "untrained", resamples=100)
    assert {row.groups for row in table.rows} == {"–"}
    assert any("need at least 120 resamples" in note for note in table.notes)


def test_a_variant_that_cannot_be_compared_has_no_letter() -> None:
    broken = [replace(run, variant="broken", cosines={}) for run in RESULTS[:1]]
    assert {row.variant: row.groups for row in board([*RESULTS, *broken]).rows}["broken"] == "–"


def test_of_one_task_the_average_is_not_repeated() -> None:
    one = board(experiment(["untrained", "simcse"], seeds=[0], tasks=["STSB"], pairs=40))
    assert "average" not in one.markdown().splitlines()[2] and "sts/avg" in one.as_json()


@pytest.mark.parametrize("tasks", [["STSB"], ["STSB", "SICKR"], TASKS])
def test_the_terminal_s_table_fits_a_hundred_columns(tasks: list[str]) -> None:
    lines = board(experiment(["untrained", "ngcse-sts-ht"], tasks=tasks, pairs=40)).text().splitlines()
    assert max(map(len, lines)) <= 100 and "…" not in lines[0]


def test_markup_in_a_name_is_text_in_markdown() -> None:
    name = "<script>a|b</script>"
    text = board([replace(run, variant=name) if run.variant == "simcse" else run for run in RESULTS]).markdown()
    assert "<script>" not in text and r"&lt;script&gt;a\|b" in text


def test_a_gain_that_noise_explains_is_marked_so() -> None:
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


def test_a_note_tells_which_sets_rfd_is_taken_of() -> None:
    own = {"cse-mix": {"data/tuples/sts/heldout": 30.0}, "simcse": {"data/corpus/heldout": 250.0}}
    results = [replace(run, metrics=run.metrics | own.get(run.variant, {})) for run in RESULTS]
    assert any("cse-mix: 30 rows of tuples/sts; simcse: 250 rows of corpus." in note for note in board(results).notes)


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
