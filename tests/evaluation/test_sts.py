"""STS scores, and that each sentence is embedded once."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from components.errors import CseflowError
from components.evaluation.embed import embed_distinct
from components.evaluation.sts import cosine, evaluate_sts
from components.evaluation.sts_data import StsPairs
from tests.evaluation.toys import hashed

rng = np.random.default_rng(0)
TASKS = {
    name: StsPairs(
        [f"{name} {k}" for k in range(50)], [f"other {k}" for k in range(50)], rng.integers(0, 6, 50).astype(np.float64)
    )
    for name in ("STS12", "STSB")
}


def test_a_score_is_spearmans_correlation_of_plain_cosines() -> None:
    pairs = TASKS["STSB"]
    u, v = hashed(pairs.first).astype(float), hashed(pairs.second).astype(float)
    plain = [a @ b / np.sqrt(a @ a) / np.sqrt(b @ b) for a, b in zip(u, v, strict=True)]
    scores = evaluate_sts(hashed, {"STSB": pairs}).scores
    assert scores["STSB"] == pytest.approx(100 * spearmanr(pairs.score, plain).statistic, abs=1e-9)


def test_the_average_is_the_mean_over_tasks() -> None:
    scores = evaluate_sts(hashed, TASKS).scores
    assert scores["avg"] == pytest.approx((scores["STS12"] + scores["STSB"]) / 2)


def test_a_collapsed_encoder_scores_zero() -> None:
    assert evaluate_sts(lambda texts: np.ones((len(texts), 4), np.float32), TASKS).scores["avg"] == 0


def test_the_cosine_of_a_zero_row_is_zero() -> None:
    assert cosine(np.zeros((1, 2)), np.ones((1, 2))).tolist() == [0.0]


def test_each_distinct_sentence_is_embedded_once_longest_first() -> None:
    seen: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        seen.extend(texts)
        return hashed(texts)

    embed_distinct(encode, ["b", "long", "b"], ["a", "long"], [])
    assert seen == ["long", "a", "b"]


def test_embeddings_come_back_in_the_order_of_the_lists() -> None:
    first, second, empty = embed_distinct(hashed, ["b", "long", "b"], ["a", "long"], [])
    np.testing.assert_array_equal(first, hashed(["b", "long", "b"]))
    np.testing.assert_array_equal(second, hashed(["a", "long"]))
    assert len(empty) == 0


def test_a_diverged_encoder_is_named_as_such() -> None:
    with pytest.raises(CseflowError, match="not finite for 2 of 2 sentences"):
        embed_distinct(lambda texts: np.full((len(texts), 2), np.nan, np.float32), ["a", "b"])
