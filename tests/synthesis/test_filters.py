"""Each reason to reject an answer, and that good ones pass."""

from typing import Any

import numpy as np
import pytest

from components.config.synthesis import Filters
from components.synthesis.exemplars import Exemplar
from components.synthesis.filters import Judge

ANCHOR = "The abbey was founded in 1098 by a group of monks from Burgundy."
GOOD = {
    "positive": "The abbey was established in 1098 by several monks of Burgundy.",
    "intermediate": "The abbey was founded by monks.",
    "negative": "The town's first school was closed by the king in 1540.",
}
SIMILAR = "The abbey was closed in 1540 by a group of soldiers."
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
    return Judge(pattern, Filters(**(settings or {})), "en", [EXEMPLAR], known)(role, text, anchor, before)


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
    chosen = Judge(pattern, Filters(), "en")
    assert chosen.asks_about("The abbey was not founded in 1098.") is asks
    assert chosen.asks_about("The abbey was founded in 1098.")


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
