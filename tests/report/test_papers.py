"""Published figures beside measured ones."""

from pathlib import Path

import pytest
from synthetic import experiment

from components.config import load_params
from components.config.variants import Published
from components.evaluation.result import RunResult
from components.report.page import write_report
from components.report.published import beside_papers, markdown
from tests.project import REPOSITORY

RESULTS = experiment(["untrained", "simcse"], seeds=[0, 1], tasks=["STS12", "STSB"], pairs=40)
PAPERS = {"simcse": Published(source="A paper, table 1", sts={"STSB": 76.85, "avg": 76.25})}


def scores(runs: list[RunResult], task: str) -> list[float]:
    return [run.metrics[f"sts/{task}"] for run in runs if run.variant == "simcse"]


def test_the_difference_is_that_of_the_mean_over_seeds() -> None:
    (row,) = beside_papers(RESULTS, PAPERS)
    assert row.difference("STSB") == pytest.approx(sum(scores(RESULTS, "STSB")) / 2 - 76.85)


def test_a_task_without_a_published_figure_has_no_difference() -> None:
    (row,) = beside_papers(RESULTS, PAPERS)
    assert "(" not in row.cell("STS12") and "±" in row.cell("STS12") and "(" in row.cell("avg")


def test_without_papers_nothing_is_said() -> None:
    assert markdown(beside_papers(RESULTS, {})) == ""


def test_the_report_shows_them(tmp_path: Path) -> None:
    write_report(RESULTS, "untrained", None, tmp_path / "report", {}, resamples=20, papers=PAPERS)
    told = [(tmp_path / "report" / name).read_text() for name in ("index.html", "leaderboard.md")]
    assert all("Beside the papers" in text and "A paper, table 1" in text for text in told)


@pytest.mark.parametrize("profile", ["paper", "paper-roberta"])
def test_published_averages_are_those_of_their_tasks(profile: str) -> None:
    variants = load_params(REPOSITORY / "params.yaml", profile=profile).variants
    found = [each.published.sts for each in variants.values() if each.published and len(each.published.sts) == 8]
    assert len(found) >= 3
    for figures in found:
        own = sum(value for task, value in figures.items() if task != "avg") / 7
        assert own == pytest.approx(figures["avg"], abs=0.012)
