"""SentEval's two classifiers on small random features."""

import numpy as np
import pytest
import torch

from components.evaluation.classifiers import PENALTIES, Parts, accuracy, chosen, strengths, train

pytestmark = pytest.mark.slow


def parts(rows: int = 70, scored: int = 40, classes: int = 3) -> Parts:
    random = np.random.default_rng(0)
    y = random.integers(0, classes, rows + scored)
    x = (np.eye(8)[y] + random.normal(size=(rows + scored, 8))).astype(np.float32)
    return Parts(x[:rows], y[:rows], x[rows:], y[rows:])


def plainly(data: Parts, penalty: float, seed: int) -> float:
    """One penalty by itself: Adam on batches of 64, looked at every four epochs, until six looks were no better."""
    order = np.random.RandomState(seed)
    torch.manual_seed(seed)
    model = torch.nn.Linear(data.x.shape[1], 3)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=penalty)
    x, y, best, misses, epoch = torch.from_numpy(data.x), torch.from_numpy(data.y), -1.0, 0, 0
    while misses < 6 and epoch <= 200:
        for _ in range(4):
            shuffled = order.permutation(len(x))
            for start in range(0, len(x), 64):
                rows = shuffled[start : start + 64]
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
        epoch += 4
        found = float((model(torch.from_numpy(data.scored_x)).argmax(1).numpy() == data.scored_y).mean())
        best, misses = (found, misses) if found > best else (best, misses + 1)
    return best


def test_penalties_side_by_side_are_as_each_alone() -> None:
    penalties = [1e-5, 1e-1]
    together = train(parts(), penalties, 3, 1111, np.random.RandomState(1111))
    assert together == [plainly(parts(), penalty, 1111) for penalty in penalties]


def test_the_seed_decides_alone() -> None:
    data = parts()
    random = torch.get_rng_state()
    first = [accuracy("adam", data, 1e-4, seed) for seed in (1, 1)]
    assert first[0] == first[1]
    assert torch.equal(random, torch.get_rng_state())


def test_the_grids_are_those_of_senteval() -> None:
    assert strengths(wide=False) == [0.25, 0.5, 1, 2, 4, 8]
    assert strengths(wide=True) == [0.5, 1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize("how", ["adam", "sklearn"])
def test_of_equals_the_first_is_chosen(how: str) -> None:
    x = np.eye(4, dtype=np.float32)[np.arange(80) % 4] * 10
    split = (np.arange(40), np.arange(40, 80))
    best = chosen(how, x, np.arange(80) % 4, [split], 1, wide=True)  # type: ignore[arg-type]
    assert best == (PENALTIES[0] if how == "adam" else 0.5)
