"""A verdict to read: as Markdown for MLflow, Prefect and the report, as plain text for the terminal."""

import io
import re
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.evaluation.result import RunResult
from components.markdown import code, plain, table
from components.promotion.comparison import AVERAGE
from components.promotion.gate import Compared, Verdict


def verdict_markdown(verdict: Verdict, model: str) -> str:
    """Headline, the rules with their reasons, the figures per task with bootstrap intervals, and what to do next.

    Figures are those of the encoder that would be promoted and, where there are several seeds, of their mean.

    Args:
        verdict: of the gate.
        model: the registered model whose alias `champion` is at stake.
    """
    rulings = [
        ["✓" if outcome.passed else "✗", plain(outcome.rule), plain(outcome.reason)] for outcome in verdict.outcomes
    ]
    parts = [
        f"## {_headline(verdict, model)}",
        f"{_who(verdict)}.",
        table(["", "rule", "reason"], rulings),
        _figures(verdict),
        "### What next",
        "\n".join(f"- {step}" for step in _next(verdict, model)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict_card(verdict: Verdict, model: str, untrained: Compared) -> str:
    """The part of a model card on its promotion: the verdict, and the figures beside champion and untrained encoder.

    Args:
        verdict: of the gate.
        model: the registered model.
        untrained: the candidate's encoder against the untrained one, where the verdict has the champion beside it;
            empty where they can't be compared.
    """
    rulings = [
        ["✓" if outcome.passed else "✗", plain(outcome.rule), plain(outcome.reason)] for outcome in verdict.outcomes
    ]
    candidate = _named([verdict.candidate.encoder])
    parts = [
        "## Promotion",
        f"{_headline(verdict, model)}. {_who(verdict)}.",
        table(["", "rule", "reason"], rulings),
        _figures(verdict),
        _table(untrained, candidate, "untrained encoder") if untrained else "",
    ]
    return "\n\n".join(part for part in parts if part)


def verdict_text(verdict: Verdict, model: str, width: int = 100) -> str:
    """The same for a terminal of `width` columns, without the figures per task."""
    out = io.StringIO()
    console = Console(file=out, width=width, no_color=True, highlight=False)
    rulings = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for name in ("", "rule", "reason"):
        rulings.add_column(name)
    for outcome in verdict.outcomes:
        rule = outcome.rule.split()[0]  # a metric's name is in the reason too
        rulings.add_row("✓" if outcome.passed else "✗", escape(rule), escape(outcome.reason))
    for line in (_headline(verdict, model), f"{_who(verdict)}."):
        console.print(escape(unmarked(line)))
    console.print(rulings)
    for step in _next(verdict, model):
        console.print(escape(unmarked(step)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def already_champion(encoder: RunResult, model: str, uri: str, promoted_with: str | None) -> str:
    """The report on a candidate that is champion: nothing to judge, so the verdict of its promotion is repeated.

    Args:
        encoder: the candidate.
        model, uri: of the champion.
        promoted_with: that verdict, in Markdown; None where the alias was set by hand.
    """
    head = f"## {code(encoder.variant)} seed {encoder.seed} is champion of {code(model)} already ({uri})"
    if promoted_with is None:
        return f"{head}\n\nNothing changes. The gate did not promote it, so that there is no verdict to show.\n"
    return f"{head}\n\nNothing changes. It was promoted with this verdict:\n\n##{promoted_with}"


def promoted_as(model: str, uri: str) -> str:
    """The line that follows the verdict once the alias has moved."""
    return f"Promoted: {code(uri)} is champion of {code(model)} now."


def unmarked(markdown: str) -> str:
    """A line of `verdict_markdown` without its marks."""
    text = re.sub(r"\\([\\`*\[\]|])|`", lambda found: found[1] or "", markdown)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _headline(verdict: Verdict, model: str) -> str:
    encoder = f"{code(verdict.candidate.encoder.variant)} seed {verdict.candidate.encoder.seed}"
    if verdict.passed:
        return f"Gate passed: {encoder} may become champion of {code(model)}"
    failed = sum(not outcome.passed for outcome in verdict.outcomes)
    return f"Gate not passed: {encoder} failed {failed} of {len(verdict.outcomes)} rules"


def _who(verdict: Verdict) -> str:
    others = [run for run in verdict.candidate.seeds if run is not verdict.candidate.encoder]
    picked = (
        f", the best of {len(others) + 1} seeds by {verdict.candidate.encoder.dev}" if others else ", the only seed"
    )
    reference = "for want of a champion, the untrained encoder"
    if verdict.reference_name == "champion":
        reference = "the champion"
    if verdict.reference is not None:
        encoder = verdict.reference.encoder
        reference += f", {code(encoder.variant)} seed {encoder.seed}"
    return f"Candidate: seed {verdict.candidate.encoder.seed}{picked}. Reference: {reference}"


def _figures(verdict: Verdict) -> str:
    if not verdict.encoders or verdict.reference is None:
        return ""
    ours, theirs = verdict.candidate, verdict.reference
    parts = [_table(verdict.encoders, _named([ours.encoder]), f"{verdict.reference_name}, {_named([theirs.encoder])}")]
    over = "pairs"
    if len(ours.seeds) > 1 or len(theirs.seeds) > 1:
        parts.append(_table(verdict.means, _named(ours.seeds), f"{verdict.reference_name}, {_named(theirs.seeds)}"))
        over = "pairs, and over seeds where there are several"
    settings = verdict.encoders[AVERAGE]
    resamples = len(settings.bootstrap.resampled)
    parts.append(
        f"Spearman ×100; {100 * settings.confidence:g} % intervals by paired bootstrap over {over}, {resamples:,} "
        f"resamples."
    )
    return "\n\n".join(parts)


def _named(runs: Sequence[RunResult]) -> str:
    seeds = ", ".join(str(run.seed) for run in sorted(runs, key=lambda run: run.seed))
    return f"seed {seeds}" if len(runs) == 1 else f"mean of seeds {seeds}"


def _table(compared: Compared, candidate: str, reference: str) -> str:
    rows = []
    for name, task in compared.items():
        if name == AVERAGE and len(compared) == 2:  # of one task it repeats that
            continue
        label = "**average**" if name == AVERAGE else plain(name)
        scores = f"{task.candidate:.2f}", f"{task.reference:.2f}"
        rows.append([label, *scores, task.gain_text, task.interval_text])
    return table(["STS task", f"candidate, {candidate}", reference, "gain", "interval"], rows, numbers=True)


def _next(verdict: Verdict, model: str) -> list[str]:
    if verdict.passed:
        return [
            f"Look at it: `cseflow evaluate models:/{model}@champion`",
            "Take it back: `cseflow rollback` makes the previous champion the champion again.",
        ]
    if verdict.reference_name == "champion":
        steps = [f"Nothing changes: `models:/{model}@champion` stays what it was."]
    else:
        steps = [f"Nothing changes: {code(model)} still has no champion."]
    if verdict.obstacle:
        steps.append(f"{plain(verdict.obstacle[0].upper() + verdict.obstacle[1:])}.")
    steps.append("See the rules marked ✗; the thresholds are in section `promotion` of params.yaml.")
    return steps
