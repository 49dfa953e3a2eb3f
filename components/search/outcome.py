"""What came of a sweep: a table, two pictures and a page. Trials are ranked by dev; no test score is read."""

import base64
import json
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from components.files import folder_written_whole
from components.markdown import plain, table, to_html
from components.report.style import BAD, GOOD, MUTED, WIDTH, png, styled
from components.search.space import Range, Space, Values

if TYPE_CHECKING:
    from optuna import Study

FEWEST = 4  # trials of which an importance can be told


@dataclass(frozen=True)
class Trial:
    """One point of the space, tried.

    Attributes:
        number: from 0, in the order of trying.
        point: key → value.
        scores: dev score (×100) of each seed.
        runs: ids of the MLflow runs, likewise.
        failure: why it came to nothing; empty where it didn't.
    """

    number: int
    point: dict[str, Any]
    scores: tuple[float, ...] = ()
    runs: tuple[str, ...] = ()
    failure: str = ""

    @property
    def mean(self) -> float:
        """What it is ranked by."""
        return fmean(self.scores)


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Best mean dev score first, of equals the earlier one; those that failed last."""
    done = [trial for trial in trials if not trial.failure]
    failed = [trial for trial in trials if trial.failure]
    return sorted(done, key=lambda trial: (-trial.mean, trial.number)) + failed


def table_rows(trials: Sequence[Trial], space: Space) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of plain text, best first."""
    keys = [each.key for each in space.varied]
    rows = []
    for trial in ranked(trials):
        values = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in map(trial.point.get, keys)]
        spread = f"{stdev(trial.scores):.2f}" if len(trial.scores) > 1 else "–"
        rows.append([str(trial.number), *values, "failed" if trial.failure else f"{trial.mean:.2f}", spread])
    return ["trial", *keys, "dev, mean", "± over seeds"], rows


def what_next(best: Trial, space: Space, variant: str, seeds: Sequence[int]) -> list[str]:
    """Commands that go on from the best trial, each with what it is for."""
    settings = " ".join(f"--set {shlex.quote(text)}" for text in space.settings(best.point))
    own = ",".join(map(str, seeds))
    return [
        f"Judge it by the gate, on test: cseflow experiment --variants {variant} --seeds {own} {settings}",
        f"Look at its runs: cseflow compare {' '.join(best.runs)}",
        f"Keep it: write {', '.join(f'{key} = {value}' for key, value in best.point.items())} into params.yaml",
    ]


def importances(study: "Study") -> dict[str, float]:
    """Key → share of the variance of the dev score over the space that it explains (fANOVA; Hutter et al. 2014), most
    important first; nothing of fewer than `FEWEST` trials, or where all came to the same."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    varied = {key for trial in done for key in trial.params if len({each.params.get(key) for each in done}) > 1}
    if len(done) < FEWEST or len({trial.value for trial in done}) < 2 or not varied:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), params=sorted(varied))


@styled
def slices(trials: Sequence[Trial], space: Space) -> Figure:
    """The dev score of every trial against each of its settings; the best stands out."""
    done = ranked([trial for trial in trials if not trial.failure])
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.subplots(1, len(space.varied), sharey=True, squeeze=False)[0]
    for axis, each in zip(axes, space.varied, strict=True):
        if isinstance(each, Values):
            places = [each.texts.index(str(trial.point[each.key])) for trial in done]
            axis.set_xticks(range(len(each.texts)), each.texts)
        else:
            places = [trial.point[each.key] for trial in done]
            axis.set_xscale("log" if isinstance(each, Range) and each.is_log else "linear")
        axis.scatter(places, [trial.mean for trial in done], color=MUTED)
        axis.scatter(places[:1], [trial.mean for trial in done[:1]], color=BAD, zorder=3, label="best")
        axis.set_xlabel(each.key)
    axes[0].set_ylabel("dev score, mean over seeds")
    axes[0].legend()
    return figure


@styled
def importance_bars(shares: dict[str, float]) -> Figure:
    """The share of each setting in the variance of the dev score."""
    figure = Figure(figsize=(WIDTH, 0.8 + 0.4 * len(shares)), layout="constrained")
    axis = figure.subplots()
    names = list(shares)[::-1]
    axis.barh(names, [shares[name] for name in names], color=GOOD)
    axis.set_xlabel("share of the dev score's variance (fANOVA)")
    axis.set_xlim(0, 1)
    return figure


def write_page(
    into: Path,
    title: str,
    trials: Sequence[Trial],
    space: Space,
    steps: Sequence[str],
    shares: dict[str, float],
) -> Path:
    """Write index.html, trials.md, trials.json, slices.png and importances.png, whole or not at all; the page's path.

    Args:
        into: the folder, which is replaced.
        title: of the page.
        trials: finished or failed.
        space: that they are of.
        steps: what to do next, each with its command behind a colon.
        shares: of `importances`; empty leaves their picture out.
    """
    heads, rows = table_rows(trials, space)
    done = [trial for trial in trials if not trial.failure]
    figures = ({"slices": slices(trials, space)} if done else {}) | (
        {"importances": importance_bars(shares)} if shares else {}
    )
    pictures = {name: png(figure) for name, figure in figures.items()}
    rows = [[*row, trial.failure or " ".join(trial.runs)] for row, trial in zip(rows, ranked(trials), strict=True)]
    text = table([plain(head) for head in [*heads, "MLflow runs"]], [[plain(cell) for cell in row] for row in rows])
    environment = Environment(loader=PackageLoader("components.search", ""), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("page.html.j2").render(
        title=title,
        board=to_html(text),
        steps=[step.partition(": ") for step in steps],
        pictures={name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()},
    )
    kept = [vars(trial) for trial in ranked(trials)]
    with folder_written_whole(into) as folder:
        (folder / "index.html").write_text(page, encoding="utf-8")
        (folder / "trials.md").write_text(text + "\n", encoding="utf-8")
        (folder / "trials.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for name, data in pictures.items():
            (folder / f"{name}.png").write_bytes(data)
    return into / "index.html"
