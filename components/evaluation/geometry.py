"""Where embeddings lie on the sphere: alignment, uniformity, and how hard the training data are to fit.

Wang & Isola 2020, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere"; relative fitting difficulty (RFD) is NGCSE's. Lower is better for both measures.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from components.errors import DataError
from components.evaluation.sts_data import StsPairs

CHUNK = 1024  # rows whose distances to all others are held at once

Curve = Sequence[tuple[int, float]]


def alignment(x: Tensor, y: Tensor, alpha: float = 2) -> float:
    """Mean of ‖xᵢ − yᵢ‖^alpha over positive pairs, on normalised embeddings; in [0, 2^alpha].

    Args:
        x, y: (n, dim), any float type, n ≥ 1; row i of each is one pair.

    Raises:
        ValueError: shapes that differ, or no pair.
    """
    if x.shape != y.shape or x.ndim != 2 or not len(x):
        raise ValueError(f"alignment takes two (n, dim) of one shape, n ≥ 1, not {tuple(x.shape)} and {tuple(y.shape)}")
    distances = (_on_sphere(x) - _on_sphere(y)).norm(dim=1)
    return float(distances.pow(alpha).mean())


def uniformity(x: Tensor, t: float = 2) -> float:
    """Log of the mean of exp(−t‖xᵢ − xⱼ‖²) over all pairs i < j, on normalised embeddings; in [−4t, 0].

    Args:
        x: (n, dim), any float type, n ≥ 2. No more than 1,024 × n distances are held at once.

    Raises:
        ValueError: fewer than two rows.
    """
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"uniformity takes (n, dim) with n ≥ 2, not {tuple(x.shape)}")
    sphere = _on_sphere(x)
    sums = []
    for start in range(0, len(x) - 1, CHUNK):
        rows = sphere[start : start + CHUNK]
        exponents = -t * (2 - 2 * rows @ sphere[start:].T).clamp(min=0)
        later = torch.ones_like(exponents, dtype=torch.bool).triu(diagonal=1)
        sums.append(exponents[later].logsumexp(0))
    return float(torch.stack(sums).logsumexp(0)) - math.log(math.comb(len(x), 2))


def relative_fitting_difficulty(train: Curve, evaluation: Curve) -> float:
    """Mean over a training's evaluation steps of the held-out training value less the evaluation value (NGCSE).

    Args:
        train: (step, value) points of alignment or of uniformity on held-out training data.
        evaluation: the same measure on the dev task, at the same steps. A point at step 0 may be there in both, and is
            left out: nothing has been fitted yet.

    Raises:
        ValueError: steps that differ, or none after step 0.
    """
    fitted, unseen = ({step: value for step, value in curve if step > 0} for curve in (train, evaluation))
    if not fitted or fitted.keys() != unseen.keys():
        raise ValueError(f"RFD needs both curves at the same steps after 0, not {sorted(fitted)} and {sorted(unseen)}")
    return math.fsum(fitted[step] - unseen[step] for step in fitted) / len(fitted)


class StsGeometrySample(NamedTuple):
    """What of the dev task the geometry is measured on: `first[i]` and `second[i]` mean the same."""

    first: list[str]
    second: list[str]
    sentences: list[str]


def sts_geometry_sample(pairs: StsPairs, positive_score: float, negative_score: float, n: int) -> StsGeometrySample:
    """As NGCSE takes it, by 4, 1 and 1,000: the first `n` pairs scored ≥ `positive_score`, for alignment, and for
    uniformity the first `n` sentences, those that repeat included, of these pairs and of those scored ≤
    `negative_score`; all in the order of `pairs`.

    Raises:
        DataError: no pair is scored that high.
    """
    scored = list(zip(pairs.first, pairs.second, pairs.score, strict=True))
    positives = [(first, second) for first, second, score in scored if score >= positive_score][:n]
    if not positives:
        raise DataError(
            f"evaluation.geometry.positive_score: none of the {len(pairs):,} pairs of the dev task is scored "
            f"{positive_score:g} or more (of 5), so there is nothing to align; lower it in params.yaml"
        )
    clear = [pair[:2] for pair in scored if pair[2] >= positive_score or pair[2] <= negative_score]
    first, second = (list(side) for side in zip(*positives, strict=True))
    return StsGeometrySample(first, second, [sentence for pair in clear for sentence in pair][:n])


def _on_sphere(x: Tensor) -> Tensor:
    # float64, since 2 − 2cos of two close embeddings loses half of a float32's digits
    return normalize(x.detach().double(), dim=1)
