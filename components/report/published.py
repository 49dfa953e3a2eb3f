"""What papers report of a variant, beside what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.config.variants import Published
from components.evaluation.result import RunResult
from components.markdown import plain, table
from components.promotion.comparison import signed
from components.report.summary import DASH, Spread, ranked, spread, task_names


@dataclass(frozen=True)
class Beside:
    """One variant and its paper: per task (`avg` last) the mean over seeds and the published figure, both ×100.

    `published` lacks the tasks of which the paper's figure is not known.
    """

    variant: str
    source: str
    measured: Mapping[str, Spread]
    published: Mapping[str, float]

    def difference(self, task: str) -> float:
        """Measured less published; NaN where nothing was measured."""
        return self.measured[task].mean - self.published[task]

    def cell(self, task: str) -> str:
        """`76.10 ± 0.21 (−0.15)`: mean and s.d. over seeds, and what it is above or below the paper's; `–` for none."""
        here = self.measured[task]
        if task not in self.published or not here.known:
            return here.text()
        return f"{here.text()} ({signed(self.difference(task), 2, '+')})"


def beside_papers(results: Sequence[RunResult], published: Mapping[str, Published]) -> list[Beside]:
    """The variants that have published figures, best first."""
    tasks = [*task_names(results, "sts"), "avg"]
    return [
        Beside(
            variant,
            published[variant].source,
            {task: spread(runs, f"sts/{task}") for task in tasks},
            {task: figure for task, figure in published[variant].sts.items() if task in tasks},
        )
        for variant, runs in ranked(results).items()
        if variant in published
    ]


def markdown(rows: Sequence[Beside]) -> str:
    """Two lines a variant, ours and the paper's, and how to read them; nothing without a variant."""
    if not rows:
        return ""
    tasks = list(rows[0].measured)
    lines = []
    for row in rows:
        theirs = [signed(row.published[task]) if task in row.published else DASH for task in tasks]
        lines.append([f"{plain(row.variant)}, here", *(row.cell(task) for task in tasks)])
        lines.append([plain(row.source), *theirs])
    heads = ["variant", *("average" if task == "avg" else plain(task) for task in tasks)]
    return (
        f"## Beside the papers\n\n{table(heads, lines, numbers=True)}\n\n"
        "- Spearman ×100, the `all` setting: mean ± s.d. over seeds, and in brackets the difference from the paper's "
        "figure, which has a spread of its own: a difference within a few s.d. tells nothing apart.\n"
        "- docs/papers.md says where the authors' released code departs from their paper, and where cseflow does.\n"
    )
