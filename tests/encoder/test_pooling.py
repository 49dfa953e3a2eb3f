"""Each pooling against a plain loop in float64, over sequences of unequal length with holes in them."""

import numpy as np
import pytest
import torch

from components.encoder.pooling import pool

PAD, MASK = 0, 4
IDS = np.array(
    [
        [2, 9, 8, 7, 4, 3],  # whole
        [2, 9, 4, 3, 0, 0],  # padded
        [2, 0, 8, 0, 4, 3],  # with holes, as token cutoff leaves them
        [2, 4, 9, 4, 3, 0],  # a masked word before the template's [MASK]
        [2, 4, 3, 0, 0, 0],
    ]
)
LAYERS, DIM = 4, 3  # the embedding layer and three transformer layers


def plain(states: np.ndarray, ids: np.ndarray, how: str) -> np.ndarray:
    """The definition, one sequence and one token at a time; `states` is (layers, tokens, dim)."""
    last = states[-1]
    attended = [t for t in range(len(ids)) if ids[t] != PAD]
    if how == "cls":
        return last[0]
    if how == "last":
        return last[attended[-1]]
    if how == "prompt_mask":
        return last[[t for t in attended if ids[t] == MASK][-1]]
    other = {"mean": last, "first_last_mean": states[1], "last_two_mean": states[LAYERS - 2]}[how]
    total = np.zeros(DIM)
    for t in attended:
        total += (other[t] + last[t]) / 2
    return total / len(attended)


@pytest.mark.parametrize("how", ["cls", "mean", "first_last_mean", "last_two_mean", "last", "prompt_mask"])
def test_pooling_is_what_it_says(how: str) -> None:
    states = np.random.default_rng(0).normal(size=(LAYERS, *IDS.shape, DIM))
    expected = np.stack([plain(states[:, row], IDS[row], how) for row in range(len(IDS))])
    ids = torch.from_numpy(IDS)
    pooled = pool(tuple(torch.from_numpy(states)), ids, ids != PAD, how, MASK)
    np.testing.assert_allclose(pooled.numpy(), expected, rtol=0, atol=1e-12)
