"""Variants by STS average: means and spreads over seeds, and gains over the reference that luck does not explain."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

from components.evaluation.result import RunResult
from components.progress import Progress
from components.promotion.comparison import AVERAGE, Incomparable, TaskComparison, compare
from components.report.summary import DASH, Spread, ranked, signed, spread, task_names

CONFIDENCE = 0.95  # of the intervals of gains
RESAMPLES = 2_000  # per variant; enough for intervals shown with two decimals


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


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        seeds: of its runs, ascending.
        cells: one spread per column.
        average: its STS average against the reference's; None for the reference and where `why_no_gain` says why.
    """

    variant: str
    seeds: tuple[int, ...]
    cells: tuple[Spread, ...]
    average: TaskComparison | None
    why_no_gain: str = ""

    @property
    def gain(self) -> str:
        """`+0.65 ▲`: ▲ above, ▼ below the reference beyond the interval, ≈ neither; `–` where not compared."""
        return f"{signed(self.average.gain, plus='+')} {self.mark}" if self.average else DASH

    @property
    def mark(self) -> str:
        assert self.average
        low, high = self.average.bootstrap.interval(CONFIDENCE)
        return "▲" if low > 0 else "▼" if high < 0 else "≈"

    @property
    def interval(self) -> str:
        """`+0.21 to +1.09`, or nothing."""
        if not self.average:
            return ""
        return " to ".join(signed(end, plus="+") for end in self.average.bootstrap.interval(CONFIDENCE))


@dataclass(frozen=True)
class Leaderboard:
    """Rows best first; `text`, `markdown`, `as_json` and `as_csv` say the same to different readers."""

    reference: str
    resamples: int
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def notes(self) -> list[str]:
        """How to read it, one sentence each."""
        notes = [
            "Scores are Spearman ×100, mean ± s.d. over seeds; bold is the best of its column.",
            f"Gain: STS average over {self.reference}'s, with the {100 * CONFIDENCE:g} % interval of a paired "
            f"bootstrap over pairs ({self.resamples:,} resamples; not corrected for the number of variants): ▲ above, "
            f"▼ below, ≈ not told apart.",
            "Alignment and uniformity are those of STS-B dev: lower is better. RFD, relative fitting difficulty: "
            "higher is harder to fit. Length-bias gap: nearer to 0 is better.",
        ]
        return notes + [f"{row.variant} has no gain: {row.why_no_gain}." for row in self.rows if row.why_no_gain]

    def is_best(self, row: Row, place: int) -> bool:
        """Whether the row's mean is the best of the column at `place`, among several."""
        means = [other.cells[place].mean for other in self.rows if other.cells[place].known]
        better = self.columns[place].better
        if len(means) < 2 or not better:
            return False
        key = {"higher": lambda mean: -mean, "lower": lambda mean: mean, "nearer 0": abs}[better]
        return row.cells[place].mean == min(means, key=key)

    def text(self) -> str:
        """Two tables for a terminal, scores and geometry; each as wide as it needs, mean above s.d."""
        out = io.StringIO()
        console = Console(file=out, width=400, no_color=True)
        for scores in (True, False):
            table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
            table.add_column("variant", no_wrap=True)
            table.add_column("seeds", justify="right")
            places = [place for place, column in enumerate(self.columns) if column.score is scores]
            for place in places:
                table.add_column(self.columns[place].title, justify="right", no_wrap=True)
            if scores:
                table.add_column("gain", justify="right", no_wrap=True)
            for row in self.rows:
                cells = [row.cells[place].text(self.columns[place].digits, "\n") for place in places]
                gain = [f"{row.gain}\n{row.interval}"] if scores else []
                table.add_row(row.variant, str(len(row.seeds)), *cells, *gain)
            console.print(table)
            console.print()
        lines = [line.rstrip() for line in out.getvalue().splitlines()]
        return (
            "\n".join([*lines, *(note.replace("; bold is the best of its column", "") for note in self.notes)]) + "\n"
        )

    def markdown(self) -> str:
        """One table and the notes."""
        heads = ["variant", "seeds", *(column.title for column in self.columns), "gain", "interval"]
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
        for row in self.rows:
            cells = [cell.text(column.digits) for column, cell in zip(self.columns, row.cells, strict=True)]
            cells = [f"**{cell}**" if self.is_best(row, place) else cell for place, cell in enumerate(cells)]
            lines.append([row.variant, str(len(row.seeds)), *cells, row.gain, row.interval or DASH])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"# Leaderboard\n\n{table}\n\n" + "\n".join(f"- {note}" for note in self.notes) + "\n"

    def as_json(self) -> str:
        """Every figure unrounded; what is missing is null."""
        return (
            json.dumps({"reference": self.reference, "resamples": self.resamples, "rows": self._records()}, indent=2)
            + "\n"
        )

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
            low, high = row.average.bootstrap.interval(CONFIDENCE) if row.average else (None, None)
            record |= {
                "gain": row.average.gain if row.average else None,
                "gain low": low,
                "gain high": high,
                "gain p (one-sided)": row.average.bootstrap.probability_at_most(0) if row.average else None,
            }
            records.append(record)
        return records


def leaderboard(
    results: Sequence[RunResult], reference: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> Leaderboard:
    """Rank the variants of `results` by their mean `sts/avg` and compare each with the variant `reference`.

    A `reference` without runs, or one that was measured on other pairs, leaves gains open, and a note says why.
    `seed` is the bootstrap's.
    """
    groups = ranked(results)
    columns = _columns(results)
    rows = []
    for variant, runs in Progress(groups.items(), desc="comparing variants", unit=" variants", leave=False):
        average, why = None, ""
        if variant != reference:
            try:
                average = compare(runs, groups.get(reference, []), resamples=resamples, seed=seed)[AVERAGE]
            except Incomparable as error:
                why = str(error)
        cells = tuple(spread(runs, *column.metrics) for column in columns)
        rows.append(Row(variant, tuple(sorted(run.seed for run in runs)), cells, average, why))
    return Leaderboard(reference, resamples, columns, tuple(rows))


def _columns(results: Sequence[RunResult]) -> tuple[Column, ...]:
    gaps = tuple(f"length_bias/{task}/gap" for task in task_names(results, "length_bias"))
    scores = [(task, f"sts/{task}") for task in task_names(results, "sts")] + [("average", "sts/avg")]
    geometry = "geometry/stsb-dev"
    return (
        *(Column(metric, title, (metric,), "higher", score=True) for title, metric in scores),
        Column("sts/STSB-dev", "STS-B dev", ("sts/STSB-dev",), "higher"),
        Column(f"{geometry}/alignment", "alignment", (f"{geometry}/alignment",), "lower", 3),
        Column(f"{geometry}/uniformity", "uniformity", (f"{geometry}/uniformity",), "lower", 3),
        Column("rfd/alignment", "RFD alignment", ("rfd/alignment",), "", 3),
        Column("rfd/uniformity", "RFD uniformity", ("rfd/uniformity",), "", 3),
        Column("length_bias/gap", "length-bias gap", gaps or ("length_bias/STSB/gap",), "nearer 0"),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
