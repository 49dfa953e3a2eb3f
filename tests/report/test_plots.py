"""Every picture draws, whatever is missing; names never cover each other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from synthetic import VARIANTS, experiment

from components.evaluation.result import RunResult
from components.report.labels import label_points
from components.report.page import PICTURES
from components.report.plots import sts_bars
from components.report.style import looks

DRAWS = pytest.mark.parametrize("draw", [picture.draw for picture in PICTURES], ids=[p.name for p in PICTURES])
SMALL = experiment(["untrained", "simcse"], seeds=[0, 1], tasks=["STSB"], pairs=40)
Draw = Callable[[Sequence[RunResult], str], Figure]


def texts(figure: Figure) -> str:
    figure.draw_without_rendering()
    found = [text.get_text() for ax in figure.axes for text in (*ax.texts, ax.title)]
    return " ".join(found)


@DRAWS
@pytest.mark.parametrize(
    "results",
    [
        pytest.param(SMALL, id="two variants"),
        pytest.param(SMALL[1:2], id="one run, no reference"),
        pytest.param(SMALL[:1], id="the reference alone"),
    ],
)
def test_it_draws(draw: Draw, results: list[RunResult]) -> None:
    draw(results, "untrained").draw_without_rendering()


@DRAWS
def test_without_measures_it_says_that_there_is_nothing(draw: Draw) -> None:
    assert "Nothing to draw" in texts(draw([RunResult("simcse", 0, "", {})], "untrained"))


@DRAWS
def test_a_metric_that_is_not_finite_does_not_stop_it(draw: Draw) -> None:
    broken = replace(
        SMALL[1],
        metrics=dict.fromkeys(SMALL[1].metrics, np.nan),
        curves={name: [(step, np.inf) for step, _ in points] for name, points in SMALL[1].curves.items()},
    )
    draw([SMALL[0], broken, SMALL[2]], "untrained").draw_without_rendering()


def test_variants_look_different() -> None:
    many = [RunResult(str(k), 0, "", {}) for k in range(30)]
    assert len(set(looks(many, "0").values())) == 30


def test_names_of_crowded_points_do_not_cover_each_other() -> None:
    figure = Figure(figsize=(10, 6), layout="constrained")
    ax = figure.subplots()
    points = np.random.default_rng(0).normal(0, 0.1, (14, 2))
    ax.set(xlim=(-1, 1), ylim=(-1, 1))
    label_points(ax, points, VARIANTS, ["black"] * 14)
    figure.draw_without_rendering()
    boxes = [text.get_tightbbox() for text in ax.texts if text.get_text()]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].padded(-1).overlaps(pair[1].padded(-1))]


def test_of_one_task_no_panel_repeats_the_average() -> None:
    assert len(sts_bars(SMALL, "untrained").axes) == 1
