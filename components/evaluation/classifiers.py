"""The two classifiers of SentEval (Conneau and Kiela 2018), as its code runs them, and how each is regularised.

`adam` is what the papers' tables were made with: multinomial logistic regression trained by Adam in batches of 64 with
L2 regularisation, stopped early by the accuracy on validation rows. `sklearn` is scikit-learn's L-BFGS.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from components.config.evaluation import Classifier

if TYPE_CHECKING:
    import torch

Features = NDArray[np.float32]
Labels = NDArray[np.intp]
Split = tuple[NDArray[np.intp], NDArray[np.intp]]  # rows to fit on, rows to score

PENALTIES = [1e-5, 1e-4, 1e-3, 1e-2]  # L2 of `adam`
BATCH, EPOCHS, MOST_EPOCHS, PATIENCE = 64, 4, 200, 5  # epochs between two looks at the validation rows, at most, ...
VALIDATION = 0.05  # share of rows that stop the last fit early, where no validation rows are given


class Parts(NamedTuple):
    """Rows to fit on and rows to score."""

    x: Features
    y: Labels
    scored_x: Features
    scored_y: Labels


def strengths(*, wide: bool) -> list[float]:
    """C of `sklearn`; `wide` where a test part is given and the training part is cross-validated (TREC, MRPC)."""
    return [2.0**k for k in (range(-1, 6) if wide else range(-2, 4))]


def chosen(how: Classifier, x: Features, y: Labels, splits: Iterable[Split], seed: int, *, wide: bool) -> float:
    """The regularisation of the best mean accuracy over `splits`, in hundredths of a percent; the first of equals."""
    found = [_accuracies(how, Parts(x[fit], y[fit], x[score], y[score]), seed, wide=wide) for fit, score in splits]
    accuracy = np.round(100 * np.mean(found, axis=0), 2)
    return (PENALTIES if how == "adam" else strengths(wide=wide))[int(accuracy.argmax())]


def accuracy(how: Classifier, parts: Parts, regularisation: float, seed: int, dev: Parts | None = None) -> float:
    """Accuracy in [0, 1] on the scored rows of a classifier fitted on the others.

    Args:
        regularisation: the L2 penalty of `adam`, C of `sklearn`.
        dev: its scored rows stop `adam` early; without it, 5 % of the rows are taken out for that.
    """
    if how == "sklearn":
        return float(_regression(regularisation, parts, seed).score(parts.scored_x, parts.scored_y))
    order = np.random.RandomState(seed)  # SentEval seeds NumPy's global generator, which this equals
    if dev is None:
        shuffled = order.permutation(len(parts.x))
        held, fit = np.split(shuffled, [int(VALIDATION * len(parts.x))])
        dev = Parts(parts.x[fit], parts.y[fit], parts.x[held], parts.y[held])
    classes = int(parts.y.max()) + 1
    return train(dev, [regularisation], classes, seed, order, parts)[0]


def _accuracies(how: Classifier, parts: Parts, seed: int, *, wide: bool) -> list[float]:
    """Accuracy on the scored rows for each regularisation."""
    if how == "adam":
        classes = int(max(parts.y.max(), parts.scored_y.max())) + 1
        return train(parts, PENALTIES, classes, seed, np.random.RandomState(seed))
    return [_regression(c, parts, seed).score(parts.scored_x, parts.scored_y) for c in strengths(wide=wide)]


def _regression(strength: float, parts: Parts, seed: int) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # SentEval stops at scikit-learn's 100 iterations
        return LogisticRegression(C=strength, random_state=seed).fit(parts.x, parts.y)


def train(
    parts: Parts,
    penalties: Sequence[float],
    classes: int,
    seed: int,
    order: np.random.RandomState,
    judged: Parts | None = None,
) -> list[float]:
    """Accuracy for each of `penalties`, on the scored rows of `judged` or else of `parts`, which stop the training.

    The penalties start alike and see the same batches, so they are trained side by side, in one product of matrices.
    """
    import torch

    x, y = torch.from_numpy(parts.x).float(), torch.from_numpy(parts.y).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        start = torch.nn.Linear(x.shape[1], classes)
    many = len(penalties)
    weight = torch.nn.Parameter(start.weight.detach().repeat(many, 1))
    bias = torch.nn.Parameter(start.bias.detach().repeat(many))
    decay = torch.tensor(penalties, dtype=torch.float32).repeat_interleave(classes)
    optimizer = torch.optim.Adam([weight, bias])
    best, kept = [-1.0] * many, (weight.detach().clone(), bias.detach().clone())
    misses = [0] * many
    epoch = 0
    while epoch <= MOST_EPOCHS and any(count <= PATIENCE for count in misses):
        for _ in range(EPOCHS):
            shuffled = torch.from_numpy(order.permutation(len(x)))
            for rows in shuffled.split(BATCH):
                apart = torch.addmm(bias, x[rows], weight.T).view(len(rows) * many, classes)
                wanted = y[rows].repeat_interleave(many)
                optimizer.zero_grad()
                (torch.nn.functional.cross_entropy(apart, wanted, reduction="sum") / len(rows)).backward()
                with torch.no_grad():  # Adam's own weight decay, which is one for all
                    weight.grad.addcmul_(decay[:, None], weight)  # type: ignore[union-attr]
                    bias.grad.addcmul_(decay, bias)  # type: ignore[union-attr]
                optimizer.step()
        epoch += EPOCHS
        for k, score in enumerate(_scores(weight, bias, many, parts)):
            if misses[k] > PATIENCE:
                continue
            if score > best[k]:
                best[k], own = score, slice(k * classes, (k + 1) * classes)
                kept[0][own], kept[1][own] = weight.detach()[own], bias.detach()[own]
            else:
                misses[k] += 1
    return best if judged is None else _scores(*kept, many, judged)


def _scores(weight: "torch.Tensor", bias: "torch.Tensor", many: int, parts: Parts) -> list[float]:
    """Accuracy of each of `many` models on the scored rows."""
    import torch

    with torch.no_grad():
        logits = torch.addmm(bias, torch.from_numpy(parts.scored_x).float(), weight.T)
        found = logits.view(len(logits), many, -1).argmax(2).numpy()
    return [float(accuracy) for accuracy in (found == parts.scored_y[:, None]).mean(axis=0)]
