"""Data docs show names from outside as text."""

import great_expectations.expectations as gxe
import pandas as pd

from components.validation.docs import page
from components.validation.report import Report
from components.validation.run import _judge
from components.validation.suite import Suite

HOSTILE = "<script>alert(1)</script>"


def test_markup_in_names_of_tasks_views_columns_and_values_is_shown_and_not_run() -> None:
    frame = pd.DataFrame({HOSTILE: ["a", HOSTILE]})
    expectations = [
        gxe.ExpectColumnValuesToBeInSet(column=HOSTILE, value_set=[HOSTILE], description=f"{HOSTILE} is known"),
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=[HOSTILE, "b"], description=f"columns {HOSTILE}"),
    ]
    suite = Suite(f"sts {HOSTILE}", frame, expectations, shown=[HOSTILE])
    outcomes, table = _judge(suite, sample=3)
    report = Report(
        kind=HOSTILE, passed=False, data={HOSTILE: "0"}, baseline=HOSTILE, expectations=outcomes, profiles={}
    )
    html = page(report, {suite.name: table})
    assert "<script" not in html and html.count("&lt;script&gt;") > 5
