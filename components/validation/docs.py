"""Data docs: a kind's verdicts as one page, by Great Expectations' own renderers.

Its site is not used as it comes: each page would load styles, icons and scripts from seven hosts, bear the time of
day, show texts of the data unescaped, and `False` in place of the row that fails. This page stands alone, and the
same verdicts give the same bytes.
"""

import html
import json
from collections.abc import Mapping, Sequence, Set
from copy import deepcopy
from typing import Any

from great_expectations.core import ExpectationValidationResult
from great_expectations.render import RenderedTableContent
from great_expectations.render.renderer.content_block import ValidationResultsTableContentBlockRenderer
from great_expectations.render.view import DefaultJinjaComponentView
from jinja2 import Environment, PackageLoader

from components.validation.report import Outcome, Report


def table(results: Sequence[ExpectationValidationResult], outcomes: Sequence[Outcome]) -> str:
    """One suite's expectations as an HTML table, with each the rows of its outcome's sample."""
    shown = []
    for result, outcome in zip(results, outcomes, strict=True):
        copy = deepcopy(result)
        left_out = ("partial_unexpected", "details")  # details are charts, which need scripts
        found = {key: value for key, value in (copy.result or {}).items() if not key.startswith(left_out)}
        if outcome["sample"] and not result.success:
            found["partial_unexpected_list"] = [json.dumps(row, ensure_ascii=False) for row in outcome["sample"]]
        if isinstance(found.get("observed_value"), float):
            found["observed_value"] = float(found["observed_value"])  # numpy's own can't be rendered
        copy.result, copy.exception_info = _escaped(found), _escaped(copy.exception_info)
        if copy.expectation_config is not None:  # its words name views, tasks and columns
            copy.expectation_config.description = _escaped(copy.expectation_config.description)
            copy.expectation_config.kwargs = _escaped(copy.expectation_config.kwargs)
        shown.append(copy)
    block: Any = ValidationResultsTableContentBlockRenderer.render(shown)
    for row, outcome in zip(block.table, outcomes, strict=True):
        if "shares" in outcome["observed"]:
            told = row[1] if isinstance(row[1], list) else [row[1]]  # a list where rows are shown below the words
            row[1:] = [[*told, _shares(outcome)], f"KL divergence {outcome['observed']['observed_value']:.3g}"]
    return str(DefaultJinjaComponentView().render({"content_block": block.to_json_dict()}))


def page(report: Report, tables: Mapping[str, str], formal: Set[str] = frozenset()) -> str:
    """The whole page; `tables` by suite, those of `formal` folded away where they passed."""
    environment = Environment(loader=PackageLoader("components.validation", "."), autoescape=True)
    failed = {outcome["suite"] for outcome in report["expectations"] if not outcome["passed"]}
    return (
        environment.get_template("page.html.j2").render(
            report=report, tables=tables, failed=failed, folded=formal - failed
        )
        + "\n"
    )


def _shares(outcome: Outcome) -> RenderedTableContent:
    """A distribution beside that of the accepted version."""
    partition = outcome["kwargs"]["partition_object"]
    accepted = dict(zip(partition["values"], partition["weights"], strict=True))
    now = outcome["observed"]["shares"]
    rows = [
        [title, *(f"{100 * shares.get(name, 0):.1f} %" for name in accepted)]
        for title, shares in (("accepted", accepted), ("now", now))
    ]
    return RenderedTableContent(table=rows, header_row=["", *map(_escaped, accepted)])


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value, quote=False)
    if isinstance(value, Mapping):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value
