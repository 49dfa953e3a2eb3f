"""Everything that is said of one trained encoder at the end of its run."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components import paths
from components.config.evaluation import Evaluation, Geometry
from components.evaluation.embed import Encode, remembering
from components.evaluation.geometry import Curve, relative_fitting_difficulty
from components.evaluation.length_bias import length_bias
from components.evaluation.patterns import Pairs, similarity_patterns
from components.evaluation.sts import evaluate_sts
from components.evaluation.sts_data import StsPairs, load_sts
from components.evaluation.transfer import evaluate_transfer

TwoKinds = tuple[Pairs, Pairs]  # positive and negative pairs
# RFD → the held-out training data that it compares with the dev task; the last two where a variant has both kinds.
FITTED = {"rfd": "heldout", "rfd/pairs": "heldout-pairs", "rfd/tuples": "heldout-tuples"}


class Measured(NamedTuple):
    """Attributes:
    metrics: by MLflow name; correlations ×100.
    gold, cosines: per STS task, (pairs,).
    patterns: per STS task, histograms fit for JSON.
    """

    metrics: dict[str, float]
    gold: dict[str, NDArray[np.float64]]
    cosines: dict[str, NDArray[np.float64]]
    patterns: dict[str, Any]


def measure(
    encode: Encode, evaluation: Evaluation, curves: Mapping[str, Curve], training_pairs: Mapping[str, TwoKinds]
) -> Measured:
    """STS, transfer, length bias and similarity patterns of an encoder, and the RFD of the training that made it.

    Args:
        curves: the training's (step, value) points of `geometry/…`; an untrained encoder has no RFD.
        training_pairs: by data set, texts that training takes for positive and for negative pairs; their patterns are
            told beside those of the STS tasks.

    Raises:
        DataError: a task's data are missing.
    """
    tasks: dict[str, StsPairs] = {task: load_sts(task) for task in evaluation.judged}
    encode_new = remembering(encode)  # the pairs whose patterns are shown are mostly those of the tasks
    scores, cosines = evaluate_sts(encode_new, tasks)
    metrics = {f"sts/{task}": score for task, score in scores.items()}
    for (rfd, data), name in product(FITTED.items(), ("alignment", "uniformity")):
        heldout, dev = (curves.get(f"geometry/{pairs}/{name}", []) for pairs in (data, evaluation.dev))
        if any(step > 0 for step, _ in heldout):
            metrics[f"{rfd}/{name}"] = relative_fitting_difficulty(heldout, dev)
    transfer: dict[str, Path] = {task: paths.SOURCES / source for task, source in evaluation.transfer.items()}
    if transfer:
        accuracies = evaluate_transfer(encode, transfer, classifier=evaluation.transfer_classifier)
        metrics |= {f"transfer/{task}": score for task, score in accuracies.items()}
    labelled = dict(training_pairs)
    for task, pairs in tasks.items():
        labelled[task] = sts_pairs(pairs, evaluation.geometry)
        bias = length_bias(pairs, cosines[task])
        metrics |= {f"length_bias/{task}/{name}": value for name, value in bias._asdict().items()}
    patterns = {name: similarity_patterns(encode_new, *kinds) for name, kinds in labelled.items()}
    return Measured(metrics, {task: pairs.score for task, pairs in tasks.items()}, cosines, patterns)


def sts_pairs(pairs: StsPairs, geometry: Geometry) -> TwoKinds:
    """The pairs of an STS task that are clearly alike, and those that clearly are not, by their gold score."""

    def chosen(rows: NDArray[np.bool_]) -> Pairs:
        return [pairs.first[i] for i in rows.nonzero()[0]], [pairs.second[i] for i in rows.nonzero()[0]]

    return chosen(pairs.score >= geometry.positive_score), chosen(pairs.score <= geometry.negative_score)
