"""Transfer tasks: logistic regression on frozen embeddings, in the protocol of SentEval (Conneau & Kiela 2018)."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from components.errors import DataError
from components.evaluation.embed import Encode, embed_distinct
from components.evaluation.sts_data import lines_of, senteval_places
from components.progress import Progress

FOLDS = 10  # of SentEval's cross-validation, the one that scores and the one that chooses the regularisation
MAX_ITERATIONS = 1000
STRENGTHS = [2.0**k for k in range(-2, 4)]  # inverse regularisation (C) to choose from, those of SentEval

# Two classes, a file each, the positive one first.
CLASSES = {
    "MR": ("MR", "rt-polarity.pos", "rt-polarity.neg"),
    "CR": ("CR", "custrev.pos", "custrev.neg"),
    "SUBJ": ("SUBJ", "subj.objective", "subj.subjective"),
    "MPQA": ("MPQA", "mpqa.pos", "mpqa.neg"),
}
FOLDERS = {task: folder for task, (folder, *_) in CLASSES.items()} | {
    "SST2": "SST/binary",
    "TREC": "TREC",
    "MRPC": "MRPC",
}

Features = NDArray[np.float32]
Split = tuple[NDArray[np.intp], NDArray[np.intp]]  # rows to fit on, rows to score


Example = tuple[str, ...]  # label and sentence, or label and two sentences


class Part(NamedTuple):
    """One part of a task's data: `texts` holds one list of sentences, or two where a pair is to be classified."""

    labels: list[str]
    texts: list[list[str]]

    @classmethod
    def of(cls, examples: Iterable[Example]) -> "Part":
        labels, *texts = (list(column) for column in zip(*examples, strict=True))
        return cls(labels, texts)


class TransferData(NamedTuple):
    """A task's data; without `test`, `train` is all there is and is cross-validated."""

    train: Part
    dev: Part | None = None
    test: Part | None = None


def evaluate_transfer(encode: Encode, tasks: Mapping[str, Path], *, seed: int = 0) -> dict[str, float]:
    """Accuracy ×100 of each task (MR, CR, SUBJ, MPQA, SST2, TREC, MRPC) and `transfer_avg`, their mean.

    Embeddings are taken as they are, as SentEval does, and classified by multinomial logistic regression with an L2
    penalty. MR, CR, SUBJ and MPQA: mean over 10 stratified folds, the penalty chosen by 10-fold cross-validation inside
    each fold's training part. TREC and MRPC: the penalty chosen by 10-fold cross-validation on the training part; SST2:
    on its dev part. MRPC's pair (u, v) is classified by |u − v| and u∗v.

    Args:
        tasks: task → SentEval's folder, or the task's own.
        seed: of the folds.

    Raises:
        DataError: a file is missing or broken, by file and line.
    """
    scores: dict[str, float] = {}
    for task, data in {task: read_transfer(task, folder) for task, folder in tasks.items()}.items():
        parts = [part for part in data if part is not None]
        embedded = iter(embed_distinct(encode, *(side for part in parts for side in part.texts)))
        features = [_features(*(next(embedded) for _ in part.texts)) for part in parts]
        labels = [np.asarray(part.labels) for part in parts]
        with threadpool_limits(1):  # the fits are so small that more threads only wait for each other
            scores[task] = 100 * _accuracy(task, features, labels, seed)
    if scores:
        scores["transfer_avg"] = float(np.mean(list(scores.values())))
    return scores


def read_transfer(task: str, folder: Path) -> TransferData:
    """Read a task from SentEval's folder or from its own.

    Raises:
        DataError: as `evaluate_transfer`.
    """
    place = transfer_folder(task, folder)
    if place is None:
        raise DataError(f"{folder} has no data for {task}; SentEval keeps them in {FOLDERS[task]}/")
    if task in CLASSES:
        positive, negative = (place / name for name in _files(task))
        return TransferData(Part.of([*_one_class(positive, "1"), *_one_class(negative, "0")]))
    train, *others = (Part.of(_labelled(task, place / name)) for name in _files(task))
    return TransferData(train, *others) if len(others) == 2 else TransferData(train, test=others[0])


def transfer_folder(task: str, folder: Path) -> Path | None:
    """Where in `folder` the files of `task` lie; None where they don't."""
    for place in senteval_places(folder, FOLDERS[task]):
        if (place / _files(task)[0]).is_file():
            return place
    return None


def _files(task: str) -> tuple[str, ...]:
    """Of one task: its two classes, or its splits in the order train, (dev,) test."""
    if task in CLASSES:
        return CLASSES[task][1:]
    return {
        "SST2": ("sentiment-train", "sentiment-dev", "sentiment-test"),
        "TREC": ("train_5500.label", "TREC_10.label"),
        "MRPC": ("msr_paraphrase_train.txt", "msr_paraphrase_test.txt"),
    }[task]


def _one_class(path: Path, label: str) -> list[Example]:
    examples: list[Example] = [(label, line.strip()) for _, line in lines_of(path, "latin-1") if line.strip()]
    if not examples:
        raise DataError(f"{path} is empty")
    return examples


def _labelled(task: str, path: Path) -> list[Example]:
    examples: list[Example] = []
    for number, line in lines_of(path, "latin-1" if task == "TREC" else "utf-8"):
        if not line.strip() or (task == "MRPC" and number == 1):  # MRPC has a header
            continue
        try:
            examples.append(_example(task, line))
        except ValueError:
            raise DataError(f"{path}, line {number}: not in the form of {task}'s data") from None
    if not examples:
        raise DataError(f"{path} is empty")
    return examples


def _example(task: str, line: str) -> Example:
    if task == "MRPC":
        label, _, _, first, second = line.split("\t")
        return label, first, second
    if task == "SST2":
        sentence, label = line.split("\t")
        return label, sentence
    kind, sentence = line.split(" ", 1)  # TREC: the coarse class, a colon, the fine class
    label, _ = kind.split(":")
    return label, sentence


def _features(*sides: Features) -> Features:
    if len(sides) == 1:
        return sides[0]
    u, v = sides
    return np.hstack([np.abs(u - v), u * v])


def _accuracy(task: str, features: list[Features], labels: list[NDArray[np.str_]], seed: int) -> float:
    x, y = features[0], labels[0]
    if len(features) == 3:
        dev = np.arange(len(y), len(y) + len(labels[1]))
        split = (np.arange(len(y)), dev)
        strength = _chosen(np.concatenate(features[:2]), np.concatenate(labels[:2]), [split])
        return _fitted(x, y, strength).score(features[2], labels[2])
    if len(features) == 2:
        return _fitted(x, y, _chosen(x, y, _folds(y, seed))).score(features[1], labels[1])
    accuracies = []
    for fit, score in Progress(list(_folds(y, seed)), desc=task, unit=" folds"):
        inner = _chosen(x[fit], y[fit], _folds(y[fit], seed))
        accuracies.append(_fitted(x[fit], y[fit], inner).score(x[score], y[score]))
    return float(np.mean(accuracies))


def _folds(labels: NDArray[np.str_], seed: int) -> Iterator[Split]:
    return StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)


def _chosen(x: Features, y: NDArray[np.str_], splits: Iterable[Split]) -> float:
    """The inverse regularisation that scores best over `splits`; of equals the strongest penalty."""
    accuracy = np.zeros(len(STRENGTHS))
    for fit, score in splits:
        model = LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True)  # from strong to weak, each near the next
        for k, strength in enumerate(STRENGTHS):
            accuracy[k] += model.set_params(C=strength).fit(x[fit], y[fit]).score(x[score], y[score])
    return STRENGTHS[int(accuracy.argmax())]


def _fitted(x: Features, y: NDArray[np.str_], strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=MAX_ITERATIONS).fit(x, y)
