"""Alignment and uniformity against plain loops; Wang & Isola 2020, sections 4.1.1 and 4.1.2."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from components.evaluation import geometry
from components.evaluation.geometry import alignment, relative_fitting_difficulty, sts_geometry_sample, uniformity
from components.evaluation.sts_data import StsPairs

X, Y = torch.randn(2, 23, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def unit(x: torch.Tensor) -> np.ndarray:
    rows = x.double().numpy()
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_alignment_is_the_mean_distance_of_pairs(alpha: float) -> None:
    plain = [np.sqrt(((u - v) ** 2).sum()) ** alpha for u, v in zip(unit(X), unit(Y), strict=True)]
    assert alignment(X, Y, alpha) == pytest.approx(np.mean(plain), abs=1e-12)


@pytest.mark.parametrize("chunk", [4, 22, 23, 1024])
def test_uniformity_is_over_all_distinct_pairs(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "CHUNK", chunk)
    plain = [math.exp(-3 * ((u - v) ** 2).sum()) for u, v in combinations(unit(X), 2)]
    assert uniformity(X, t=3) == pytest.approx(math.log(np.mean(plain)), abs=1e-12)


def test_uniformity_of_opposites_does_not_underflow() -> None:
    assert uniformity(torch.tensor([[1.0, 0.0], [-2.0, 0.0]]), t=1000) == pytest.approx(-4000)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_any_float_type_is_taken_at_its_own_values(dtype: torch.dtype) -> None:
    x, y = X.to(dtype), Y.to(dtype)
    assert (alignment(x, y), uniformity(x)) == (alignment(x.double(), y.double()), uniformity(x.double()))


@pytest.mark.parametrize(
    "call", [lambda: alignment(X, Y[:3]), lambda: alignment(X[:0], Y[:0]), lambda: uniformity(X[:1])]
)
def test_too_few_or_unlike_rows_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="takes"):
        call()


def test_rfd_is_the_mean_gap_after_step_zero() -> None:
    train, evaluation = [(0, 9.0), (10, 0.3), (20, 0.5)], [(0, 1.0), (10, 0.1), (20, 0.2)]
    assert relative_fitting_difficulty(train, evaluation) == pytest.approx((0.2 + 0.3) / 2)


@pytest.mark.parametrize("evaluation", [[(10, 0.1)], [(0, 0.1)]])
def test_rfd_needs_the_same_steps(evaluation: list[tuple[int, float]]) -> None:
    with pytest.raises(ValueError, match="same steps"):
        relative_fitting_difficulty([(0, 1.0), (20, 0.5)], evaluation)


DEV = StsPairs(["a", "b", "c", "a"], ["x", "y", "z", "w"], np.array([4.0, 0.5, 2.5, 5.0]))


def test_the_sample_takes_clear_pairs_in_order_with_repeats() -> None:
    sample = sts_geometry_sample(DEV, 4, 1, n=1000)
    assert (sample.first, sample.second) == (["a", "a"], ["x", "w"])
    assert sample.sentences == ["a", "x", "b", "y", "a", "w"]


def test_the_sample_is_the_first_of_them() -> None:
    assert sts_geometry_sample(DEV, 4, 1, n=1) == (["a"], ["x"], ["a"])
