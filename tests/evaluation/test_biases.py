"""Length bias (ESimCSE, section 1) and similarity patterns (NGCSE, appendix)."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from components.evaluation.length_bias import length_bias
from components.evaluation.patterns import similarity_patterns
from components.evaluation.sts_data import StsPairs
from tests.evaluation.toys import hashed


def test_length_bias_parts_pairs_at_three_words() -> None:
    words = ["w", "w w w w", "w w w w w", "w " * 9] * 5
    gold, cosines = np.random.default_rng(0).random((2, 20))
    bias = length_bias(StsPairs(["w"] * 20, words, gold), cosines)
    near = np.arange(20) % 4 < 2
    expected = [100 * spearmanr(gold[side], cosines[side]).statistic for side in (near, ~near)]
    assert bias == pytest.approx((*expected, expected[0] - expected[1]))


def test_patterns_tell_positive_from_negative_pairs() -> None:
    patterns = similarity_patterns(hashed, (["a b", "c"], ["a b", "c"]), (["a b"], ["x y"]))
    means = [patterns[side]["match_error_rate"]["mean"] for side in ("positive", "negative")]
    assert means == [0, 1] and patterns["positive"]["cosine"]["mean"] == pytest.approx(1)


def test_patterns_count_every_pair_and_fit_json() -> None:
    patterns = json.loads(json.dumps(similarity_patterns(hashed, (["a", "b"], ["a", "c"]), ([], []))))
    counts = {side: sum(patterns[side]["cosine"]["counts"]) for side in patterns}
    assert counts == {"positive": 2, "negative": 0} and patterns["negative"]["cosine"]["mean"] is None
