"""Transfer tasks: logistic regression on frozen embeddings, by the protocol of SentEval (Conneau and Kiela 2018)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from components.config.evaluation import Classifier
from components.errors import DataError
from components.evaluation.classifiers import Features, Labels, Parts, Split, accuracy, chosen
from components.evaluation.embed import Encode, embed_distinct
from components.evaluation.sts_data import lines_of, senteval_places
from components.progress import Progress
from components.text import normal

FOLDS = 10  # of the cross-validation that scores and of the one that chooses the regularisation, as in the papers
SEED = 1111  # SentEval's, of folds, initialisation and batches

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


def evaluate_transfer(
    encode: Encode, tasks: Mapping[str, Path], *, classifier: Classifier = "adam", seed: int = SEED
) -> dict[str, float]:
    """Accuracy ×100 of each task (MR, CR, SUBJ, MPQA, SST2, TREC, MRPC) and `transfer_avg`, their mean.

    Embeddings are taken as they are, as SentEval does. MR, CR, SUBJ and MPQA: mean over 10 stratified folds, the
    regularisation chosen by 10-fold cross-validation inside each fold's training part. TREC and MRPC: the
    regularisation chosen by 10-fold cross-validation on the training part; SST2: on its dev part. MRPC's pair (u, v) is
    classified by |u − v| and u∗v. Rows are sorted as SentEval sorts them, so that its folds and batches are ours.

    Args:
        tasks: task → SentEval's folder, or the task's own.
        classifier: `adam`, as in the papers, or `sklearn`; see `components.evaluation.classifiers`.
        seed: of the folds, and of `adam`'s initialisation and batches.

    Raises:
        DataError: a file is missing or broken, by file and line, or there are too few examples for the folds.
    """
    scores: dict[str, float] = {}
    for task, data in {task: read_transfer(task, folder) for task, folder in tasks.items()}.items():
        parts = [_sorted(part) for part in data if part is not None]
        labels = _numbered(task, parts, folds=data.dev is None)
        embedded = iter(embed_distinct(encode, *(side for part in parts for side in part.texts)))
        features = [_features(*(next(embedded) for _ in part.texts)) for part in parts]
        with threadpool_limits(1):  # the fits are so small that more threads only wait for each other
            scores[task] = 100 * _accuracy(task, features, labels, classifier, seed)
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


def transfer_sentences(tasks: Mapping[str, Path]) -> set[str]:
    """All sentences of the tasks, in plain form: what training must not see.

    Raises:
        DataError: as `evaluate_transfer`.
    """
    found: set[str] = set()
    for task, folder in tasks.items():
        for part in read_transfer(task, folder):
            found.update(normal(text) for side in (part.texts if part else ()) for text in side)
    return found - {""}


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
    examples: list[Example] = [
        (label, " ".join(line.split())) for _, line in lines_of(path, "latin-1")
    ]  # empty ones too
    if not any(text for _, text in examples):
        raise DataError(f"{path} is empty")
    return examples


def _labelled(task: str, path: Path) -> list[Example]:
    examples: list[Example] = []
    for number, line in lines_of(path, "latin-1" if task == "TREC" else "utf-8-sig"):
        if not line.strip() or (task == "MRPC" and number == 1):  # MRPC has a header
            continue
        try:
            label, *texts = _example(task, line)
            examples.append((label, *(" ".join(text.split()) for text in texts)))
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


def _sorted(part: Part) -> Part:
    """By number of words, then label, as SentEval sorts."""
    words = [[len(text.split()) for text in side] for side in part.texts]
    keys = list(zip(*words, part.labels, strict=True))
    order = sorted(range(len(part.labels)), key=keys.__getitem__)
    return Part([part.labels[k] for k in order], [[side[k] for k in order] for side in part.texts])


def _numbered(task: str, parts: list[Part], *, folds: bool) -> list[Labels]:
    """Labels as numbers from 0, by alphabet.

    Raises:
        DataError: one class alone, or too few examples of every class for the folds.
    """
    names = sorted({label for part in parts for label in part.labels})
    number = {name: k for k, name in enumerate(names)}
    labels = [np.array([number[label] for label in part.labels], np.intp) for part in parts]
    least = 2 * FOLDS if folds else 1  # a fold's training part is divided once more
    if len(set(labels[0])) < 2 or np.bincount(labels[0]).max() < least:
        raise DataError(
            f"{task}: {len(labels[0])} training examples of {len(set(labels[0]))} classes are too few: it takes two "
            f"classes, and {least} examples of one; check that its files are whole"
        )
    return labels


def _accuracy(task: str, features: list[Features], labels: list[Labels], classifier: Classifier, seed: int) -> float:
    x, y = features[0], labels[0]
    if len(features) == 3:
        dev = Parts(x, y, features[1], labels[1])
        split = (np.arange(len(y)), np.arange(len(y), len(y) + len(labels[1])))
        both = np.concatenate(features[:2]), np.concatenate(labels[:2])
        best = chosen(classifier, *both, [split], seed, wide=False)
        return accuracy(classifier, Parts(x, y, features[2], labels[2]), best, seed, dev)
    if len(features) == 2:
        best = chosen(classifier, x, y, Progress(_folds(y, seed), desc=task, unit=" folds"), seed, wide=True)
        return accuracy(classifier, Parts(x, y, features[1], labels[1]), best, seed)
    accuracies = []
    for fit, score in Progress(_folds(y, seed), desc=task, unit=" folds"):
        best = chosen(classifier, x[fit], y[fit], _folds(y[fit], seed), seed, wide=False)
        accuracies.append(accuracy(classifier, Parts(x[fit], y[fit], x[score], y[score]), best, seed))
    return float(np.mean(accuracies))


def _folds(labels: Labels, seed: int) -> list[Split]:
    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels))
