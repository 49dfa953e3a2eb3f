"""Variants by STS average: means and spreads over seeds, gains over the reference, and who is not told apart."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.evaluation.result import RunResult
from components.markdown import plain, table
from components.promotion.comparison import (
    AVERAGE,
    CONFIDENCE,
    RESAMPLES,
    Comparisons,
    Incomparable,
    TaskComparison,
)
from components.report.summary import DASH, Spread, dev_tasks, ranked, spread, task_names

WIDTH = 100  # columns of a terminal


@dataclass(frozen=True)
class Column:
    """One measure under the name `key` in JSON and CSV; several `metrics` are averaged within a run.

    `better` says which end is printed bold.
    """

    key: str
    title: str
    metrics: tuple[str, ...]
    better: Literal["higher", "lower", "nearer 0", ""]
    digits: int = 2
    score: bool = False  # an STS score, as opposed to a measure of geometry or bias
    dev: bool = False  # the score of a dev task


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        runs: seed → id of the MLflow run, ascending.
        cells: one spread per column.
        average: its STS average against the reference's; None for the reference and where `why_no_gain` says why.
        groups: one letter for each set of variants, it among them, that are not told apart from each other.
    """

    variant: str
    runs: Mapping[int, str]
    cells: tuple[Spread, ...]
    average: TaskComparison | None
    why_no_gain: str = ""
    groups: str = DASH
    heldout: str = ""  # which rows of which sets stand for its training data in RFD

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.runs)

    @property
    def gain(self) -> str:
        """`+0.65 ▲`: ▲ above, ▼ below the reference beyond the interval, ≈ neither; `–` where not compared."""
        return self.average.gain_text if self.average else DASH

    @property
    def mark(self) -> str:
        return self.average.mark if self.average else ""

    @property
    def interval(self) -> str:
        """`+0.21 to +1.09`, or nothing."""
        return self.average.interval_text if self.average else ""


@dataclass(frozen=True)
class Leaderboard:
    """Rows best first; `text`, `markdown`, `as_json` and `as_csv` give the same to different readers."""

    reference: str
    resamples: int
    confidence: float
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    why_no_groups: str = ""

    @property
    def notes(self) -> list[str]:
        """How to read it, one sentence each."""
        seeds = any(len(row.runs) > 1 for row in self.rows)
        dev = " or ".join(column.title for column in self.columns if column.dev)
        over = "pairs and seeds" if seeds else "pairs"
        pairs = math.comb(sum(row.groups != DASH for row in self.rows), 2)
        notes = [
            f"Scores: Spearman ×100, mean{' ± s.d. over seeds' if seeds else ''}; the best of its column is bold.",
            f"Gain: STS average over {self.reference}'s, with its {100 * self.confidence:g} % interval by paired "
            f"bootstrap over {over} ({self.resamples:,} resamples), not corrected for the number of variants."
            f" ▲ above, ▼ below, ≈ not told apart.",
        ]
        if pairs > 1:
            notes.append(
                f"Group: variants that share a letter are not told apart from each other, by the same bootstrap with "
                f"Holm's correction for all {pairs} pairs."
            )
        if self.why_no_groups:
            notes.append(f"No groups: {self.why_no_groups}.")
        if any(column.key.startswith(("geometry", "rfd", "length")) for column in self.columns):
            notes.append(
                f"Alignment and uniformity are those of {dev}: lower is better. RFD, relative fitting difficulty: "
                "higher is harder to fit. Length-bias gap: nearer to 0 is better."
            )
        sets: dict[str, list[str]] = {}
        for row in self.rows:
            sets.setdefault(row.heldout, []).append(row.variant)
        told = [f"{', '.join(names)}: {rows}" for rows, names in sets.items() if rows]
        if told:
            notes.append(
                f"Held-out training data that RFD compares with {dev}, of a variant with tuples those alone: "
                f"{'; '.join(told)}."
            )
        return notes + [f"{row.variant} has no gain: {row.why_no_gain}." for row in self.rows if row.why_no_gain]

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns to read: of a single STS task, the average would repeat it."""
        if sum(column.score for column in self.columns) != 2:
            return self.columns
        return tuple(column for column in self.columns if column.key != "sts/avg")

    def cell(self, row: Row, column: Column) -> str:
        """Mean and spread, such as `82.68 ± 0.12`."""
        return row.cells[self.columns.index(column)].text(column.digits)

    def is_best(self, row: Row, column: Column) -> bool:
        """Whether the row's mean is the best of the column, among several."""
        place = self.columns.index(column)
        means = [other.cells[place].mean for other in self.rows if other.cells[place].known]
        better = column.better
        if len(means) < 2 or not better:
            return False
        key = {"higher": lambda mean: -mean, "lower": lambda mean: mean, "nearer 0": abs}[better]
        return row.cells[place].mean == min(means, key=key)

    def text(self, width: int = WIDTH) -> str:
        """For a terminal of `width` columns: one line a variant, with as many of the columns as fit."""
        out = io.StringIO()
        console, ruler = (Console(file=out, width=w, no_color=True, highlight=False) for w in (width, 10_000))
        left_out: list[str] = []
        order = sorted(self.shown, key=lambda column: (column.key != "sts/avg" and not column.dev, not column.score))
        for count in range(len(order), 0, -1):
            chosen = [column for column in self.shown if column in order[:count]]
            shown = self._terminal_table(chosen)
            if ruler.measure(shown).maximum <= width:
                break
            left_out.append(order[count - 1].title)
        console.print(shown)
        for note in self.notes[: 3 if len(self.rows) > 2 else 2]:
            console.print(escape(note.replace("; the best of its column is bold", "")))
        for note in self.notes:
            if "has no gain" in note:
                console.print(escape(note))
        if left_out:
            console.print(escape(f"More columns in the report: {', '.join(reversed(left_out))}."))
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"

    def _terminal_table(self, columns: Sequence[Column]) -> Table:
        shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
        shown.add_column("variant", overflow="fold")
        for title in ("seeds", *(column.title for column in columns), "gain", "interval", "group"):
            shown.add_column(title, justify="right", no_wrap=True)
        for row in self.rows:
            cells = [self.cell(row, column) for column in columns]
            shown.add_row(escape(row.variant), str(len(row.runs)), *cells, row.gain, row.interval, row.groups)
        return shown

    def markdown(self) -> str:
        """One table and the notes."""
        heads = ["variant", "seeds", *(plain(column.title) for column in self.shown), "gain", "interval", "group"]
        lines = []
        for row in self.rows:
            cells = [
                f"**{self.cell(row, column)}**" if self.is_best(row, column) else self.cell(row, column)
                for column in self.shown
            ]
            lines.append([plain(row.variant), str(len(row.runs)), *cells, row.gain, row.interval or DASH, row.groups])
        notes = "\n".join(f"- {plain(note)}" for note in self.notes)
        return f"# Leaderboard\n\n{table(heads, lines, numbers=True)}\n\n{notes}\n"

    def as_json(self) -> str:
        """Every figure unrounded; what is missing is null."""
        settings = {"reference": self.reference, "resamples": self.resamples, "confidence": self.confidence}
        return json.dumps(settings | {"rows": self._records()}, indent=2) + "\n"

    def as_csv(self) -> str:
        """As the JSON, one line per variant; what is missing is empty."""
        records = [{**record, "seeds": " ".join(map(str, record["seeds"]))} for record in self._records()]
        out = io.StringIO()
        writer = csv.DictWriter(out, list(records[0]) if records else ["variant"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return out.getvalue()

    def _records(self) -> list[dict[str, Any]]:
        records = []
        for row in self.rows:
            record: dict[str, Any] = {"variant": row.variant, "seeds": list(row.seeds)}
            for column, cell in zip(self.columns, row.cells, strict=True):
                record |= {column.key: _finite(cell.mean), f"{column.key} s.d.": _finite(cell.deviation)}
            low, high = row.average.interval if row.average else (None, None)
            record |= {
                "gain": row.average.gain if row.average else None,
                "gain low": low,
                "gain high": high,
                "gain p": row.average.bootstrap.p_value if row.average else None,
                "group": row.groups if row.groups != DASH else None,
            }
            records.append(record)
        return records


def leaderboard(
    results: Sequence[RunResult],
    reference: str,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Leaderboard:
    """Rank the variants of `results` by their mean `sts/avg` and compare each with the variant `reference`.

    A `reference` without runs, or one that was measured on other pairs, leaves gains open, and a note says why.

    Args:
        results: of all variants and seeds.
        reference: what gains are over.
        resamples, seed: of the bootstrap.
        confidence: of the intervals, and of what counts as told apart.
    """
    groups = ranked(results)
    columns = _columns(results)
    compared = Comparisons(results, resamples=resamples, confidence=confidence, seed=seed)
    letters, why_no_groups = {}, ""
    try:
        letters = letters_of(list(groups), compared.told_apart(groups))
    except Incomparable as error:
        why_no_groups = str(error)
    rows = []
    for variant, runs in groups.items():
        average, why = None, ""
        if variant != reference:
            try:
                average = compared.compare(runs, groups.get(reference, []))[AVERAGE]
            except Incomparable as error:
                why = str(error)
        cells = tuple(spread(runs, *column.metrics) for column in columns)
        ids = {run.seed: run.run_id for run in sorted(runs, key=lambda run: run.seed)}
        rows.append(Row(variant, ids, cells, average, why, letters.get(variant, DASH), _heldout(runs)))
    return Leaderboard(reference, resamples, confidence, columns, tuple(rows), why_no_groups)


def letters_of(names: Sequence[str], apart: Mapping[frozenset[str], bool]) -> dict[str, str]:
    """A compact letter display: two names share a letter if and only if they are not told apart.

    Each letter is one largest set of names none of which is told apart from another (Piepho 2004, "An algorithm for a
    letter-based representation of all-pairwise comparisons"). Names that can't be compared with the first that can be
    have none.

    Args:
        names: best first; `a` goes to the set with the best.
        apart: for each pair that was compared.
    """
    first = next((name for name in names if any(name in pair for pair in apart)), None)
    members = [name for name in names if name == first or frozenset((name, first)) in apart]
    alike = {name: {other for other in members if not apart.get(frozenset((name, other)), True)} for name in members}
    sets: list[list[str]] = []

    def grow(chosen: list[str], candidates: set[str], excluded: set[str]) -> None:  # Bron and Kerbosch 1973
        if not candidates and not excluded:
            sets.append(sorted(chosen, key=names.index))
        for name in sorted(candidates, key=names.index):
            grow([*chosen, name], candidates & alike[name], excluded & alike[name])
            candidates, excluded = candidates - {name}, excluded | {name}

    grow([], set(members), set())
    sets.sort(key=lambda each: [names.index(name) for name in each])
    letters = [chr(ord("a") + k % 26) * (1 + k // 26) for k in range(len(sets))]
    return {name: " ".join(x for x, each in zip(letters, sets, strict=True) if name in each) for name in members}


def _columns(results: Sequence[RunResult]) -> tuple[Column, ...]:
    gaps = tuple(f"length_bias/{task}/gap" for task in task_names(results, "length_bias"))
    scores = [(task, f"sts/{task}") for task in task_names(results, "sts")]
    scores.append(("average", "sts/avg"))
    dev = dev_tasks(results)
    return (
        *(Column(metric, title, (metric,), "higher", score=True) for title, metric in scores),
        *(Column(f"sts/{task}", task, (f"sts/{task}",), "higher", dev=True) for task in dev),
        *(
            Column(metric, measure if len(dev) == 1 else f"{measure} on {task}", (metric,), "lower", 3)
            for task in dev
            for measure in ("alignment", "uniformity")
            for metric in [f"geometry/{task}/{measure}"]
        ),
        Column("rfd/alignment", "RFD alignment", ("rfd/alignment",), "", 3),
        Column("rfd/uniformity", "RFD uniformity", ("rfd/uniformity",), "", 3),
        Column("length_bias/gap", "length-bias gap", gaps or ("length_bias/STSB/gap",), "nearer 0"),
    )


def _heldout(runs: Sequence[RunResult]) -> str:
    """`30 rows of tuples/sts`, as its first run logged them; nothing where it has no RFD."""
    counts = {name: count for name, count in runs[0].metrics.items() if re.fullmatch("data/.+/heldout", name)}
    if "rfd/alignment" not in runs[0].metrics:
        return ""
    return ", ".join(f"{count:,.0f} rows of {name[5:-8]}" for name, count in sorted(counts.items()))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
