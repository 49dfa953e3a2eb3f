"""Data docs: a kind's verdicts as one page, by Great Expectations' own renderers.

Its site is not used as it comes: each page would load styles, icons and scripts from seven hosts, bear the time of
day, show texts of the data unescaped, and `False` in place of the row that fails. This page stands alone, and the
same verdicts give the same bytes.
"""

import html
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from great_expectations.core import ExpectationValidationResult
from great_expectations.render.renderer.content_block import ValidationResultsTableContentBlockRenderer
from great_expectations.render.view import DefaultJinjaComponentView
from jinja2 import Environment, PackageLoader

from components.validation.report import Report


def table(results: Sequence[ExpectationValidationResult], samples: Sequence[Sequence[Any]]) -> str:
    """One suite's expectations as an HTML table; `samples` holds the rows to show with each."""
    shown = []
    for result, sample in zip(results, samples, strict=True):
        copy = deepcopy(result)
        found = {key: value for key, value in (copy.result or {}).items() if not key.startswith("partial_unexpected")}
        if sample and not result.success:
            found["partial_unexpected_list"] = [json.dumps(row, ensure_ascii=False) for row in sample]
        copy.result, copy.exception_info = _escaped(found), _escaped(copy.exception_info)
        shown.append(copy)
    block: Any = ValidationResultsTableContentBlockRenderer.render(shown)
    return str(DefaultJinjaComponentView().render({"content_block": block.to_json_dict()}))


def page(report: Report, tables: Mapping[str, str]) -> str:
    """The whole page; `tables` by suite."""
    environment = Environment(loader=PackageLoader("components.validation", "."), autoescape=True)
    failed = {outcome["suite"] for outcome in report["expectations"] if not outcome["passed"]}
    return environment.get_template("page.html.j2").render(report=report, tables=tables, failed=failed) + "\n"


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value, quote=False)
    if isinstance(value, Mapping):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value
