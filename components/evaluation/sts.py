"""Semantic textual similarity: Spearman's correlation of cosines with gold scores."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from components.evaluation.embed import Encode, embed_distinct
from components.evaluation.sts_data import StsPairs


class StsScores(NamedTuple):
    """What an encoder makes of STS.

    Attributes:
        scores: task → Spearman ×100, and `avg`, the mean over all tasks.
        cosines: task → cosine of every pair, shape (pairs,).
    """

    scores: dict[str, float]
    cosines: dict[str, NDArray[np.float64]]


def evaluate_sts(encode: Encode, tasks: Mapping[str, StsPairs]) -> StsScores:
    """Score every task in the `all` setting (Gao et al. 2021, appendix B): subsets concatenated, no regressor.

    Raises:
        CseflowError: the encoder gives values that are not finite.
    """
    names = list(tasks)
    embedded = embed_distinct(encode, *(side for name in names for side in (tasks[name].first, tasks[name].second)))
    cosines = {name: cosine(embedded[2 * k], embedded[2 * k + 1]) for k, name in enumerate(names)}
    scores = {name: 100 * spearman(tasks[name].score, cosines[name]) for name in names}
    return StsScores(scores | {"avg": float(np.mean(list(scores.values())))}, cosines)


def cosine(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of each row of `first` with the same row of `second`: (n, dim) and (n, dim) to (n,); 0 for a zero row."""
    u, v = first.astype(np.float64), second.astype(np.float64)
    scale = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    products = np.einsum("nd,nd->n", u, v)
    return np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's correlation in [-1, 1]; ties share their mid-rank. A constant side has no order to agree with: 0."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(spearmanr(first, second).statistic)
