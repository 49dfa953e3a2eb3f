"""A verdict as Markdown: for MLflow, for Prefect, for the terminal and for the report."""

from collections.abc import Sequence

from components.config.promotion import Promotion
from components.evaluation.result import RunResult
from components.promotion.comparison import AVERAGE
from components.promotion.gate import Verdict

_CONFIDENCE = 0.95  # of the intervals in the table of figures


def verdict_markdown(verdict: Verdict, candidate: Sequence[RunResult], promotion: Promotion) -> str:
    """Headline, the rules with their reasons, the figures per task with bootstrap intervals, and what to do next."""
    names = " + ".join(sorted({run.variant for run in candidate})) or "no candidate"
    parts = [
        f"## {_headline(verdict, names, promotion.model)}",
        f"Candidate: `{names}`, {_seeds(candidate)}. Reference: {_reference(verdict)}.",
        _table(
            ["", "rule", "reason"],
            [["✓" if outcome.passed else "✗", outcome.rule, outcome.reason] for outcome in verdict.outcomes],
        ),
        _figures(verdict),
        "### What next",
        _next(verdict, promotion.model),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(verdict: Verdict, names: str, model: str) -> str:
    if verdict.passed:
        return f"Gate passed: `{names}` may become champion of `{model}`"
    failed = sum(not outcome.passed for outcome in verdict.outcomes)
    return f"Gate not passed: `{names}` failed {failed} of {len(verdict.outcomes)} rules"


def _seeds(runs: Sequence[RunResult]) -> str:
    seeds = [str(run.seed) for run in runs]
    if not seeds:
        return "no finished run"
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of seeds {', '.join(seeds)}"


def _reference(verdict: Verdict) -> str:
    return "the champion" if verdict.reference_name == "champion" else "the untrained encoder (there is no champion)"


def _figures(verdict: Verdict) -> str:
    if not verdict.comparison:
        return ""
    rows = []
    for name, task in verdict.comparison.items():
        low, high = task.bootstrap.interval(_CONFIDENCE)
        label = "**average**" if name == AVERAGE else name
        rows.append(
            [label, f"{task.candidate:.2f}", f"{task.reference:.2f}", f"{task.gain:+.2f}", f"{low:+.2f} to {high:+.2f}"]
        )
    resamples = len(verdict.comparison[AVERAGE].bootstrap.resampled)
    heads = ["STS task", "candidate", verdict.reference_name, "gain", f"{100 * _CONFIDENCE:g} % interval"]
    table = _table(heads, rows)
    return (
        f"{table}\n\nSpearman ×100, mean over seeds; intervals by paired bootstrap over pairs, {resamples:,} resamples."
    )


def _next(verdict: Verdict, model: str) -> str:
    if verdict.passed:
        return (
            f"- Look at it: `cseflow evaluate models:/{model}@champion`\n"
            f"- Take it back: `cseflow rollback` makes the previous champion the champion again."
        )
    return (
        f"Nothing moves: `models:/{model}@champion` stays what it was. See the rules marked ✗; the thresholds are in "
        f"section `promotion` of params.yaml. If an earlier promotion was a mistake, `cseflow rollback` takes it back."
    )


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
