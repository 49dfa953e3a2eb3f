"""One function per picture: results and the reference's name in, a matplotlib Figure out (no pyplot, no global state).

Every picture shows the seeds' mean and spread, and says so when there is nothing to show.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from components.evaluation.result import RunResult
from components.promotion.comparison import signed
from components.report.labels import label_points
from components.report.style import BAD, GOOD, MUTED, PALE, WIDTH, looks, styled
from components.report.summary import (
    DASH,
    Curve,
    Spread,
    by_variant,
    dev_tasks,
    mean_curve,
    ranked,
    spread,
    task_names,
)

COLUMNS = 4  # panels side by side
SIDES = {"positive": (GOOD, "#004C77", ""), "negative": (BAD, "#8F3F00", "///")}  # fill, ink, hatch
BAR = 0.24  # inches of height for each bar


@styled
def fitting_difficulty(results: Sequence[RunResult], reference: str) -> Figure:
    """Relative fitting difficulty of uniformity against that of alignment (NGCSE's figure).

    Coloured by STS-B test or, where that is no task, by the STS average.
    """
    figure = Figure(figsize=(WIDTH, 6), layout="constrained")
    ax = figure.subplots()
    names, points, lines, scores = [], [], [], []
    score, test = ("sts/STSB", "STS-B test") if "STSB" in task_names(results, "sts") else ("sts/avg", "STS average")
    for variant, runs in by_variant(results).items():
        x, y = spread(runs, "rfd/alignment"), spread(runs, "rfd/uniformity")
        if not (x.known and y.known):
            continue
        names.append(variant)
        points.append((x.mean, y.mean))
        scores.append(spread(runs, score).mean)
        for dx, dy in ((_whisker(x), 0.0), (0.0, _whisker(y))):
            lines.append([(x.mean - dx, y.mean - dy), (x.mean + dx, y.mean + dy)])
            ax.plot(*zip(*lines[-1], strict=True), color=MUTED, lw=0.8, zorder=1)
    if not names:
        return _nothing(ax, "rfd/alignment and rfd/uniformity")
    places, known = np.array(points), np.isfinite(scores)
    marks: dict[str, Any] = {"s": 75, "edgecolors": "black", "zorder": 3}
    if known.any():
        dots = ax.scatter(places[known, 0], places[known, 1], c=np.array(scores)[known], cmap="viridis", **marks)
        figure.colorbar(dots, ax=ax, label=f"{test}, Spearman ×100 (higher is better)")
    ax.scatter(places[~known, 0], places[~known, 1], facecolors="white", **marks)
    ax.margins(0.08)
    ax.set_xlabel("RFD of alignment: held-out training − dev task (higher is harder to fit)")
    ax.set_ylabel("RFD of uniformity: held-out training − dev task\n(higher is harder to fit)")
    label_points(ax, places, names, ["black"] * len(names), lines)
    return figure


@styled
def geometry_paths(results: Sequence[RunResult], reference: str) -> Figure:
    """The alignment–uniformity plane (Wang & Isola 2020) with the paths taken in training, on either set of pairs."""
    figure = Figure(figsize=(WIDTH, 10), layout="constrained")
    sets = {"heldout": "held-out training pairs"} | {task: f"pairs of {task}" for task in dev_tasks(results)}
    style = looks(results, reference)
    for ax, (pairs, title) in zip(figure.subplots(len(sets), 1), sets.items(), strict=True):
        paths = {}
        for variant, runs in by_variant(results).items():
            across, up = (mean_curve(runs, f"geometry/{pairs}/{kind}") for kind in ("uniformity", "alignment"))
            path = _joined(across, up)
            if len(path):
                paths[variant] = path
                look = style[variant]
                ax.plot(*path.T, color=look.colour, lw=1.2, alpha=0.8, marker=".", ms=3)
                ax.plot(*path[0], "o", ms=5, mfc="white", mec=look.colour)
                ax.plot(*path[-1], look.marker, ms=13 if variant == reference else 7, color=look.colour, zorder=3)
        if not paths:
            _nothing(ax, f"geometry/{pairs}/alignment and …/uniformity")
            continue
        ax.set_title(f"On {title}: from the untrained encoder (open circle) to the last step", loc="left")
        ax.set_xlabel("← uniformity (lower is better)")
        ax.set_ylabel("← alignment (lower is better)")
        ax.margins(0.09)
        ends = [path[-1] for path in paths.values()]
        label_points(ax, ends, list(paths), [style[variant].ink for variant in paths], list(paths.values()))
    return figure


@styled
def dev_curves(results: Sequence[RunResult], reference: str) -> Figure:
    """The dev task against the optimiser's step, one panel per variant."""
    task = dev_tasks(results)[0]
    return _curves(results, reference, f"sts/{task}", f"{task}, Spearman ×100\n(higher is better)")


@styled
def loss_curves(results: Sequence[RunResult], reference: str) -> Figure:
    """Training loss against the optimiser's step, one panel per variant; objectives differ, so compare shapes."""
    figure = _curves(results, reference, "train/loss", "training loss\n(lower is better)")
    ax = figure.axes[0]
    if all(np.min(line.get_ydata()) > 0 for line in ax.get_lines()) and ax.get_lines():
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        for panel in figure.axes:
            # Over many decades ticks inside them would be too many, and matplotlib would then draw none.
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high < 1000 * low else LogLocator(numticks=6))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.yaxis.set_minor_formatter(NullFormatter())
    return figure


@styled
def sts_bars(results: Sequence[RunResult], reference: str) -> Figure:
    """Every STS task and their average: what each variant gains over the reference."""
    return _gains(results, reference, "sts", "Spearman ×100")


@styled
def transfer_bars(results: Sequence[RunResult], reference: str) -> Figure:
    """Every transfer task and their average: what each variant gains over the reference."""
    return _gains(results, reference, "transfer", "accuracy ×100")


@styled
def length_bias_bars(results: Sequence[RunResult], reference: str) -> Figure:
    """Spearman of pairs of like length minus that of pairs of unlike length (ESimCSE): zero would be no bias."""
    groups = ranked(results)
    tasks = task_names(results, "length_bias")
    figure, axes = _grid(len(tasks), BAR * len(groups) + 0.9, sharex=True, sharey=True)
    if not tasks:
        return _nothing(axes[0], "length_bias/…/gap")
    for ax, task in zip(axes, tasks, strict=True):
        bars = {variant: spread(runs, f"length_bias/{task}/gap") for variant, runs in groups.items()}
        _barh(ax, bars, ["black" if variant == reference else GOOD for variant in bars])
        ax.set_title(task)
    figure.supxlabel(
        "gap in Spearman ×100: pairs ≤ 3 words apart − pairs > 3 words apart (nearer to 0 is better)", size=10
    )
    return figure


@styled
def pattern_histograms(results: Sequence[RunResult], reference: str) -> Figure:
    """How alike positive and negative pairs are, in words and to an encoder, for each data set (NGCSE, appendix).

    Variants whose runs saw the same pairs share a row; the cosines are the reference's where it is among them.
    """
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for variant, runs in by_variant(results).items():
        for data, pattern in runs[0].patterns.items():
            words = str([pattern[side]["match_error_rate"]["counts"] for side in SIDES])
            groups.setdefault((data, words), {})[variant] = pattern
    if not groups:
        return _nothing(_grid(1, 1.0)[1][0], "patterns")
    figure = Figure(figsize=(WIDTH, 1.75 * len(groups) + 0.9), layout="constrained")
    for axes, ((data, _), patterns) in zip(figure.subplots(len(groups), 2, squeeze=False), groups.items(), strict=True):
        chosen = reference if reference in patterns else next(iter(patterns))
        more = f" + {len(patterns) - 1} more" if len(patterns) > 1 else ""
        axes[0].set_title(f"{data}: pairs of {chosen}{more}", loc="left")
        axes[1].set_title(f"cosines by {chosen}", loc="left")
        axes[0].set_ylabel("share of pairs, %")
        for ax, measure in zip(axes, ("match_error_rate", "cosine"), strict=True):
            for side, (colour, ink, hatch) in SIDES.items():
                _histogram(ax, patterns[chosen][side][measure], side, colour, ink, hatch)
    axes[0].set_xlabel("match error rate (0: the same words, 1: none shared)")
    axes[1].set_xlabel("cosine (dashed: mean)")
    handles = [
        Patch(facecolor=to_rgba(colour, 0.45), edgecolor=ink, hatch=hatch) for colour, ink, hatch in SIDES.values()
    ]
    figure.legend(handles, [f"{side} pairs" for side in SIDES], loc="outside upper center", ncols=2)
    return figure


def _histogram(ax: Axes, histogram: dict[str, Any], side: str, colour: str, ink: str, hatch: str) -> None:
    counts = np.array(histogram["counts"], np.float64)
    if counts.sum():
        ax.stairs(
            100 * counts / counts.sum(), histogram["edges"], fill=True, fc=to_rgba(colour, 0.45), ec=ink, hatch=hatch
        )
        ax.axvline(histogram["mean"], color=ink, ls="--", lw=1.2)


def _curves(results: Sequence[RunResult], reference: str, metric: str, label: str) -> Figure:
    curves = {variant: mean_curve(runs, metric) for variant, runs in by_variant(results).items()}
    curves = {variant: curve for variant, curve in curves.items() if len(curve.steps)}
    level = None
    if reference in curves and len(curves[reference].steps) == 1:  # an untrained reference: a level, not a curve
        level = curves.pop(reference).mean[0]
    figure, axes = _grid(len(curves), 1.9, sharex=True, sharey=True)
    if not curves:
        return _nothing(axes[0], f"{metric} after step 0")
    style = looks(results, reference)
    for ax, (variant, curve) in zip(axes, curves.items(), strict=True):
        for other in curves.values():
            ax.plot(other.steps, other.mean, color=PALE, lw=0.8)
        if level is not None:
            ax.axhline(level, color="black", lw=0.9, ls=":")
        colour = style[variant].colour
        low = np.maximum(curve.mean - curve.deviation, np.minimum(curve.mean, 0) + 1e-3 * np.abs(curve.mean))
        ax.fill_between(curve.steps, low, curve.mean + curve.deviation, color=colour, alpha=0.25, lw=0)
        ax.plot(curve.steps, curve.mean, color=colour, lw=1.8, marker="o" if len(curve.steps) < 12 else None, ms=3)
        ax.set_title(variant, color=style[variant].ink, fontweight="bold")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    grey = "; grey: the other variants" if len(curves) > 1 else ""
    dotted = f"; dotted: {reference}" if level is not None else ""
    figure.supxlabel(f"optimiser step (mean of the seeds, band ± 1 s.d.{grey}{dotted})", size=10)
    figure.supylabel(label, size=10)
    return figure


def _gains(results: Sequence[RunResult], reference: str, family: str, unit: str) -> Figure:
    """Bars from the reference's score, which is each panel's zero; plain scores where there is nothing to compare."""
    groups = ranked(results)
    base = groups.pop(reference, [])
    if not base or not groups:
        groups, base = groups or {reference: base}, []
    tasks = task_names(results, family)
    if len(tasks) != 1 and any(f"{family}/avg" in run.metrics for run in results):  # of one task it repeats that
        tasks = [*tasks, "avg"]
    figure, axes = _grid(len(tasks), BAR * len(groups) + 0.9, sharex=bool(base), sharey=True)
    if not tasks:
        return _nothing(axes[0], f"{family}/…")
    for ax, task in zip(axes, tasks, strict=True):
        name = "average" if task == "avg" else task
        bars = {variant: spread(runs, f"{family}/{task}") for variant, runs in groups.items()}
        if base:
            zero = spread(base, f"{family}/{task}")
            bars = {variant: score._replace(mean=score.mean - zero.mean) for variant, score in bars.items()}
            ax.axvspan(-_whisker(zero), _whisker(zero), color=PALE, zorder=0, lw=0)
            name = f"{name} · reference {zero.mean:.2f}" if zero.known else f"{name} · no reference"
        _barh(ax, bars, [GOOD if not score.mean < 0 else BAD for score in bars.values()], plus="+" if base else "")
        ax.set_title(name)
    compared = f"gain over {reference}, " if base else ""
    figure.supxlabel(f"{compared}{unit} (right is better; mean of the seeds, whiskers ± 1 s.d.)", size=10)
    return figure


def _barh(ax: Axes, bars: dict[str, Spread], colours: Sequence[str], plus: str = "") -> None:
    """Horizontal bars from 0, first on top, each with its figure in a column on the right."""
    places = np.arange(len(bars))
    means = [score.mean for score in bars.values()]
    ax.barh(places, means, color=colours, height=0.62)
    whiskers = [_whisker(score) or math.nan for score in bars.values()]
    ax.errorbar(means, places, xerr=whiskers, fmt="none", ecolor="#404040", elinewidth=1, capsize=2)
    ax.axvline(0, color="black", lw=0.9)
    ax.set_yticks(places, list(bars))
    slack = 0.5 if len(bars) == 1 else 0.0  # or the bar would be a slab
    ax.set_ylim(len(bars) - 0.4 + slack, -0.6 - slack)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    for place, mean in zip(places, means, strict=True):
        text = DASH if math.isnan(mean) else signed(mean, plus=plus)
        ax.annotate(
            text, (1.02, place), xycoords=("axes fraction", "data"), va="center", size=8.5, annotation_clip=False
        )


def _grid(panels: int, height: float, sharex: bool = False, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with `panels` axes (at least one) of `height` inches each in rows of `COLUMNS`."""
    panels = max(panels, 1)
    columns = min(panels, COLUMNS)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(WIDTH, max(height * rows + 0.5, 1.8)), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    for bottom in axes[max(panels - columns, 0) : panels]:
        bottom.tick_params(labelbottom=True)
    return figure, axes[:panels]


def _joined(across: Curve, up: Curve) -> NDArray[np.float64]:
    """Points (steps, 2) of two curves at the steps that both have."""
    _, first, second = np.intersect1d(across.steps, up.steps, return_indices=True)
    return np.column_stack([across.mean[first], up.mean[second]])


def _whisker(score: Spread) -> float:
    return score.deviation if math.isfinite(score.deviation) else 0.0


def _nothing(ax: Axes, wanted: str) -> Figure:
    ax.set_axis_off()
    ax.text(0.5, 0.5, f"Nothing to draw: no run has {wanted}.", ha="center", va="center", transform=ax.transAxes)
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure
