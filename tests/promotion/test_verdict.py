"""The verdict as it is read."""

from dataclasses import replace

from candidates import BETTER, GAIN, rules, verdict

from components.promotion.verdict import already_champion, verdict_markdown, verdict_text

PROMOTION = rules(GAIN, {"rule": "validations"})


def test_a_pass_shows_rules_figures_and_the_way_back() -> None:
    text = verdict_markdown(verdict(PROMOTION), "cse-encoder")
    assert [part in text for part in ("Gate passed: `simcse`", "| ✓ | gain |", "| STS12 |", "cseflow rollback")] == [
        True
    ] * 4


def test_a_failure_counts_the_rules_that_failed() -> None:
    candidate = [replace(run, validations={}) for run in BETTER]
    text = verdict_markdown(verdict(PROMOTION, candidate), "cse-encoder")
    assert "failed 1 of 2 rules" in text and "| ✗ | validations |" in text


def test_a_reference_without_runs_still_reads() -> None:
    assert "Gate not passed" in verdict_markdown(verdict(PROMOTION, BETTER, []), "cse-encoder")


def test_the_terminal_s_verdict_fits_a_hundred_columns_and_its_last_screen() -> None:
    lines = verdict_text(verdict(PROMOTION), "cse-encoder").splitlines()
    assert max(map(len, lines)) <= 100 and len(lines) < 20


def test_markup_in_a_name_is_text() -> None:
    candidate = [replace(run, variant="<script>") for run in BETTER]
    text = verdict_markdown(verdict(PROMOTION, candidate), "cse-encoder")
    assert "<script>" not in text and "&lt;script&gt; seed 0" in text


def test_both_the_encoder_and_the_mean_of_its_seeds_are_shown() -> None:
    text = verdict_markdown(verdict(PROMOTION), "cse-encoder")
    assert "| candidate, seed 0 |" in text and "| candidate, mean of seeds 0, 1 |" in text


def test_a_champion_s_report_repeats_the_verdict_of_its_promotion() -> None:
    report = already_champion(BETTER[0], "cse-encoder", "models:/cse-encoder/1", "## Gate passed: yes\n")
    assert report.startswith("## `simcse` seed 0 is champion of `cse-encoder` already") and "### Gate passed" in report


def test_no_champion_is_spoken_of_where_there_is_none() -> None:
    failing = rules(GAIN | {"minimum": 99.0})
    text = verdict_markdown(verdict(failing), "cse-encoder")
    assert "still has no champion" in text and "@champion" not in text
