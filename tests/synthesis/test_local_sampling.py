"""Nucleus sampling by a partial sort draws what a whole sort draws."""

import numpy as np
import pytest
import torch

from components.synthesis.backends.local.sampling import draw


def plain(logits: np.ndarray, uniform: float, temperature: float, top_p: float) -> int:
    """One row in float64: sort all, keep the smallest set with the mass, draw from it in proportion."""
    scaled = logits.astype(np.float64) / temperature
    probabilities = np.exp(scaled - scaled.max())
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities, kind="stable")
    cumulative = probabilities[order].cumsum()
    size = int((cumulative < top_p).sum()) + 1
    return int(order[min((cumulative <= uniform * cumulative[:size][-1]).sum(), size - 1)])


@pytest.mark.parametrize("vocabulary", [50, 259, 64 * 100])
@pytest.mark.parametrize("spread", [0.1, 3.0, 10.0])  # flat: the nucleus is most of the vocabulary
@pytest.mark.parametrize("temperature, top_p", [(0.7, 0.95), (1.5, 0.5), (1.0, 1.0)])
def test_draws_are_those_of_a_whole_sort(vocabulary: int, spread: float, temperature: float, top_p: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, spread, (40, vocabulary)).astype(np.float32)
    uniforms = generator.random(40, dtype=np.float32)
    drawn = draw(torch.tensor(logits), torch.tensor(uniforms), temperature, top_p)
    expected = [plain(row, u, temperature, top_p) for row, u in zip(logits, uniforms, strict=True)]
    assert (drawn.numpy() == expected).mean() >= 0.97  # a draw on a boundary may fall to either side in float32


def test_no_temperature_takes_the_likeliest() -> None:
    logits = torch.randn(5, 640, generator=torch.Generator().manual_seed(0))
    assert draw(logits, torch.zeros(5), 0.0, 0.9).tolist() == logits.argmax(-1).tolist()
