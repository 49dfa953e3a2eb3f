"""What a local model may write: no more of what the filters reject than it takes to know."""

import pytest

from components.config.synthesis import Filters
from components.synthesis.filters import Judge
from components.synthesis.guide import Writing

ANCHOR = "In July 1627 two pirate ships from Algiers sailed as far as Iceland, raiding and capturing slaves."
NEAR = "In July 1627 two pirate ships from Algiers sailed as far as Iceland, raiding and"
STRICT = Filters(
    invented=True,
    shorter=True,
    denial=True,
    match_error_rate={
        "nli": {"positive": [0.2, 0.95], "negative": [0.05, 0.95]},
        "sts": {"positive": [0.1, 0.85], "intermediate": [0.1, 0.9], "negative": [0.5, 1.0]},
    },
)


def writing(role: str, pattern: str = "nli", settings: Filters = STRICT) -> Writing:
    opening = "No," if (role, pattern) == ("negative", "nli") else ""
    return Writing(Judge(pattern, settings, "en"), role, ANCHOR, opening)


@pytest.mark.parametrize(
    ("pattern", "text", "ended", "allowed"),
    [
        ("nli", "No, two ships sailed", False, True),
        ("nli", "No, two ships sailed.", False, False),
        ("nli", "No, two ships did not sail.", False, True),
        ("nli", "No, two ships from Rome", False, True),
        ("nli", "No, no.", False, False),
        ("nli", "No, two ships did not sail", True, False),
        ("nli", "No, two ships did not sail\n", False, False),
        ("nli", f"No, not {NEAR} capturing slaves", False, True),
        ("sts", "Two ships from Algiers", False, True),
        ("sts", "In July 1627 two pirate ships from Algiers sailed", False, False),
    ],
)
def test_what_the_judge_would_reject_in_a_negative_is_not_written(
    pattern: str, text: str, ended: bool, allowed: bool
) -> None:
    assert writing("negative", pattern).allows(text, ended) is allowed


@pytest.mark.parametrize("role", ["positive", "intermediate"])
@pytest.mark.parametrize("text", ["They.", "Two ships from Rome", NEAR, "They did not"])
def test_other_texts_are_drawn_as_the_model_has_them(role: str, text: str) -> None:
    assert writing(role, "sts" if role == "intermediate" else "nli").allows(text, ended=True)


@pytest.mark.parametrize(
    ("role", "text", "over"),
    [
        ("positive", "Two ships sailed to the north.", True),
        ("positive", 'They said "two ships sailed."', True),
        ("positive", 'They said "two ships sailed.', False),
        ("positive", "Two ships of the U.S.", True),
        ("positive", "Two ships sailed in 1627.", False),
        ("positive", "Two ships sailed\n", True),
        ("positive", "船が出た。", True),
        ("positive", "and " * 35, True),
        ("positive", "Two ships from Al", False),
        ("positive", "Two ships from Algiers's", False),
        ("positive", "Two ships from Alger", True),
        ("positive", "Two ships from Algi left", True),
        ("positive", "Two ships left in 16", False),
        ("positive", "Two ships left in 1612", True),
        ("positive", "Two ships did not", False),
        ("positive", "Two ships did not ", True),
        ("positive", "In July 1627 two pirate ships from Algiers sailed as far as", False),
        ("positive", NEAR, True),
        ("intermediate", "and " * 17, True),
        ("negative", "No, " + "and " * 16, False),
        ("negative", "No, " + "and " * 18, True),
        ("negative", "No, not " + "and " * 17, False),
    ],
)
def test_an_answer_is_over_with_its_first_sentence_or_when_it_can_be_none(role: str, text: str, over: bool) -> None:
    assert writing(role, "sts" if role == "intermediate" else "nli").over(text) is over


@pytest.mark.parametrize("text", ["Not in Rome did two ships sail", "Two ships", ANCHOR.rstrip(".")])
def test_filters_that_are_off_guide_nothing(text: str) -> None:
    off = Filters(match_error_rate={}, whole=False, min_words=1)
    for role in ("positive", "negative"):
        assert writing(role, settings=off).allows(text, ended=True) and not writing(role, settings=off).over(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("Two ships from Rome", "invented"), ("Two ships did not ", "denial"), ("Two ships", "fragment")],
)
def test_what_is_stopped_is_told_by_its_reason(text: str, reason: str) -> None:
    settings = STRICT.model_copy(update={"min_words": 2})
    assert Judge("nli", settings, "en")("positive", text, ANCHOR, {}) == reason
