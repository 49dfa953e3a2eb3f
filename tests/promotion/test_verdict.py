"""The verdict as it is read."""

from dataclasses import replace

import pytest
from candidates import BETTER, GAIN, WORSE, rules, verdict

from components.evaluation.result import RunResult
from components.promotion.verdict import verdict_markdown

PROMOTION = rules(GAIN, {"rule": "validations"})


def test_a_pass_shows_rules_figures_and_the_way_back() -> None:
    text = verdict_markdown(verdict(PROMOTION), BETTER, PROMOTION)
    assert [part in text for part in ("Gate passed: `simcse`", "| ✓ | gain |", "| STS12 |", "cseflow rollback")] == [
        True
    ] * 4


def test_a_failure_counts_the_rules_that_failed() -> None:
    candidate = [replace(run, validations={}) for run in BETTER]
    text = verdict_markdown(verdict(PROMOTION, candidate), candidate, PROMOTION)
    assert "failed 1 of 2 rules" in text and "| ✗ | validations |" in text


@pytest.mark.parametrize(("candidate", "reference"), [([], WORSE), (BETTER, [])])
def test_a_side_without_runs_still_reads(candidate: list[RunResult], reference: list[RunResult]) -> None:
    assert "Gate not passed" in verdict_markdown(verdict(PROMOTION, candidate, reference), candidate, PROMOTION)
