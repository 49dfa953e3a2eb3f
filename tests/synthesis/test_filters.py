"""Each reason to reject an answer, and that good ones pass."""

from typing import Any

import numpy as np
import pytest

from components.config import load_params
from components.config.synthesis import Filters
from components.synthesis.exemplars import Exemplar
from components.synthesis.filters import Judge
from tests.project import REPOSITORY

ANCHOR = "The abbey was founded in 1098 by a group of monks from Burgundy."
GOOD = {
    "positive": "The abbey was established in 1098 by several monks of Burgundy.",
    "intermediate": "The abbey was founded by monks.",
    "negative": "The town's first school was closed by the king in 1540.",
}
SIMILAR = "The abbey was closed in 1540 by a group of soldiers."
STRICT = {"invented": True, "shorter": True, "denial": True}
EXEMPLAR = Exemplar("own:1", "A dog ran all the way home.", "No dog ran home that day.")


def judge(
    role: str,
    text: str,
    pattern: str = "sts",
    anchor: str = ANCHOR,
    settings: dict[str, Any] | None = None,
    **before: str,
) -> str | None:
    known = frozenset({"a man plays the guitar in a park."})
    chosen = Filters(**(STRICT | (settings or {})))
    return Judge(pattern, chosen, "en", [EXEMPLAR], known)(role, text, anchor, before)


@pytest.mark.parametrize("role", GOOD)
def test_a_good_answer_passes(role: str) -> None:
    before = {name: text for name, text in GOOD.items() if name != role}
    assert judge(role, GOOD[role], **before) is None


@pytest.mark.parametrize(
    ("reason", "role", "text"),
    [
        ("empty", "positive", " . "),
        ("chatter", "positive", "Sure, monks from Burgundy established it in 1098."),
        ("chatter", "negative", "I cannot help with this request."),
        ("chatter", "negative", "The given sentence is false in every way."),
        ("chatter", "positive", "Paraphrase: monks established the abbey in 1098."),
        ("copy of the anchor", "positive", f'"{ANCHOR.lower()}"'),
        ("copy of an exemplar", "negative", "Yesterday no dog ran home."),
        ("leak", "negative", "A man plays the  guitar in a park."),
        ("length", "intermediate", "Monks built."),
        ("length", "negative", "The town's first school was closed by the king in 1540" + " and again" * 10 + "."),
        ("fragment", "intermediate", "The abbey founded by some"),
        ("residue", "positive", "Monks from [[Burgundy]] established the abbey in 1098."),
        ("language", "negative", "Die erste Schule der Stadt wurde im Jahr 1540 vom König geschlossen."),
        ("invented", "positive", "Monks from Burgundy established the abbey in 1099."),
        ("invented", "intermediate", "The abbey was founded by Hugo."),
        ("intermediate not shorter", "intermediate", "It was founded long ago in 1098 by a few monks from Burgundy."),
        ("match error rate of positive", "positive", ANCHOR.replace("from", "in")),
        ("match error rate of negative", "negative", ANCHOR.replace("monks", "nuns")),
    ],
)  # fmt: skip
def test_what_is_wrong_has_a_name(reason: str, role: str, text: str) -> None:
    assert judge(role, text) == reason


def test_no_two_texts_of_a_tuple_are_alike() -> None:
    assert (
        judge(
            "intermediate",
            "Monks from  Burgundy established the Abbey!",
            positive="Monks from Burgundy established the abbey.",
        )
        == "alike"
    )


def test_what_the_anchor_says_is_no_chatter() -> None:
    anchor = "The court held that the sentence of ten years was void in law."
    assert judge("positive", "According to judges, the sentence was void.", "nli", anchor) is None


def test_a_fault_that_the_anchor_has_is_forgiven() -> None:
    assert (
        judge("positive", "monks established the abbey", "nli", "the abbey was founded in 1098 by a group of monks")
        is None
    )


@pytest.mark.parametrize(
    ("role", "text", "reason"),
    [
        ("negative", "The town's first school was closed by the king in 1540.", "no denial"),
        ("negative", "No monks founded the abbey in 1098.", None),
        ("positive", "Monks didn't found the abbey in 1098.", "denial"),
    ],
)
@pytest.mark.parametrize("asked", [True, False])
def test_a_negative_of_nli_denies_and_a_positive_does_not(role: str, text: str, reason: str, asked: bool) -> None:
    assert judge(role, text, "nli", settings={"denial": asked}) == (reason if asked else None)


@pytest.mark.parametrize(("pattern", "asks"), [("nli", False), ("sts", True)])
def test_a_sentence_that_denies_something_is_not_asked_about_for_nli(pattern: str, asks: bool) -> None:
    chosen = Judge(pattern, Filters(denial=True), "en")
    assert chosen.asks_about("The abbey was not founded in 1098.") is asks
    assert chosen.asks_about("The abbey was founded in 1098.")


BASKETS = (
    "For decades the baskets of the valley have sold so well that, to meet what is asked for, those woven there are "
    "now mixed with others brought from abroad."
)
PARENTS = (
    "Critics fear that if large numbers of unemployed parents are sent to work, nurseries may be overrun by requests "
    "to take as many as a million more children."
)
HORSE = "A brown and white horse is trotting across a muddy meadow."
# The worked examples of NGCSE's prompts (Li et al. 2024, appendix), retold: of the same form, length and distance.
PAPER = [
    ("nli", "positive", BASKETS, "The baskets woven in the valley are popular."),
    ("nli", "positive", PARENTS, "Day care has room for a limited number of boys and girls."),
    ("nli", "positive", HORSE, "A brown and white horse is outdoors."),
    ("nli", "negative", BASKETS, "The baskets have a name for coming apart, and buyers want something else."),
    ("nli", "negative", PARENTS, "When unemployed parents find work, fewer children need a place in a nursery."),
    ("nli", "negative", HORSE, "The horse is fast asleep."),
    (
        "sts",
        "positive",
        "U.S. officials have charged more than 90 people and taken more than $12 million in a long campaign against "
        "fraud on the Internet.",
        "More than 90 people were charged and goods worth $12 million taken in a sweep on Internet fraud that three "
        "U.S. agencies made known on Friday.",
    ),
    (
        "sts",
        "positive",
        "The vote was held a day after the ministry for the first time blamed one officer, Harding, for a lie.",
        "The vote came one day after the ministry for the first time blamed one officer - Harding - for his lie.",
    ),
    (
        "sts",
        "positive",
        "The Kohl government blames party rebels and foreign agents who have come to Bonn for the wave of strikes.",
        "The Kohl government blames the wave of strikes on Communist rebels and foreign agents who have come to Bonn.",
    ),
    (
        "sts",
        "intermediate",
        "Police began a search abroad for Carol Whitfield after she left home with 28-year-old Peter Lang on Sunday.",
        "Carol Whitfield vanished on Sunday evening after she had agreed to meet 28-year-old Peter Lang.",
    ),
    (
        "sts",
        "intermediate",
        "In a statement on Monday, Ortega said this was the first time that an auditor rejected a plan.",
        "Ortega said it was the first time in the history of Nevada that an auditor had not approved the plan.",
    ),
    (
        "sts",
        "intermediate",
        'The contract with Swissair is expected to be signed "in the next few days," said Airbus speaker Paul Moreau.',
        "Airbus said the final contract is likely to be signed during the next days.",
    ),
    (
        "sts",
        "negative",
        "Dengue is mostly found only in tropical and southern Asia.",
        "Beavers, mostly found in northern and western states, aren't native to Florida.",
    ),
    (
        "sts",
        "negative",
        "The Dow Jones Industrial Average rose 31.40 points, or 0.34 percent, to 9,284.12.",
        "At 11:45 a.m. EST, Toronto's main S&P/TSX index was down 12.31 points or 0.2 percent at 7,104.66.",
    ),
    ("sts", "negative", "A woman is playing the violin.", "A man is cutting some bread."),
]


@pytest.fixture(scope="module")
def paper() -> Filters:
    return load_params(REPOSITORY / "params.yaml", profile="paper").synthesis.filters


@pytest.mark.parametrize(("pattern", "role", "anchor", "text"), PAPER)
def test_what_the_papers_prompts_show_passes(pattern: str, role: str, anchor: str, text: str, paper: Filters) -> None:
    for settings in (Filters(), paper):
        chosen = Judge(pattern, settings, "en")
        assert chosen.asks_about(anchor) and chosen(role, text, anchor, {}) is None


OFF: list[tuple[dict[str, Any], str, str]] = [
    ({"chatter": False}, "positive", "Sure, monks from Burgundy established it in 1098."),
    ({"copies": False}, "positive", f'"{ANCHOR}"'),
    ({"copies": False}, "negative", "The farmer said that no dog ran home last week."),
    ({"leaks": False}, "negative", "A man plays the  guitar in a park."),
    (
        {"max_ratio": None},
        "negative",
        "The town's first school was closed by the king in 1540" + " and again" * 10 + ".",
    ),
    ({"whole": False}, "intermediate", "The abbey founded by some"),
    ({"whole": False}, "positive", "Monks from [[Burgundy]] established the abbey in 1098."),
    ({"min_language": 0.0}, "negative", "Die erste Schule der Stadt wurde im Jahr 1540 vom König geschlossen."),
    ({"invented": False}, "positive", "Monks from Burgundy established the abbey in 1099."),
    ({"shorter": False}, "intermediate", "It was founded long ago in 1098 by a few monks from Burgundy."),
    ({"match_error_rate": {}}, "positive", ANCHOR.replace("from", "in")),
]


@pytest.mark.parametrize(("settings", "role", "text"), OFF)
def test_every_filter_can_be_off(settings: dict[str, Any], role: str, text: str) -> None:
    assert judge(role, text) is not None
    assert judge(role, text, settings={"match_error_rate": {}} | settings) is None


@pytest.mark.parametrize("text", ["At 12:10 p.m. EDT, the index was up.", "Output rose by a tenth in May."])
def test_a_time_or_a_word_of_the_trade_is_no_chatter(text: str) -> None:
    assert judge("negative", text, settings={"match_error_rate": {}}) is None


def test_names_of_an_exemplar_are_not_taken_over() -> None:
    exemplar = Exemplar("own:1", "The report on safety came from the NTSB.", "It came.")
    judge = Judge("sts", Filters(), "en", [exemplar])
    assert judge("negative", "The king wrote to the NTSB about it.", ANCHOR, {}) == "copy of an exemplar"


FAR, SIMILAR = "Some monks founded a large abbey.", "The abbey was closed in 1540 by a group of soldiers."


@pytest.mark.parametrize(("nearer", "reason"), [(True, "negative not farther"), (False, None)])
def test_the_negative_is_farther_by_words_if_that_is_asked(nearer: bool, reason: str | None) -> None:
    settings = {"nearer": nearer, "match_error_rate": {}}
    assert judge("negative", SIMILAR, settings=settings, intermediate=FAR) == reason


@pytest.mark.parametrize(("angles", "reason"), [([0, 20, 40, 60], None), ([0, 20, 60, 40], "cosine")])
def test_an_encoder_may_be_asked_for_the_order(angles: list[float], reason: str | None) -> None:
    vectors = np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1)
    before = {role: GOOD[role] for role in ("positive", "intermediate")}
    judge = Judge("sts", Filters(), "en", encode=lambda _: vectors)
    assert judge("negative", GOOD["negative"], ANCHOR, before) == reason
