"""What is measured of a trained encoder, by the specification of its run."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from components.evaluation.embed import encoder_of
from components.evaluation.geometry import Curve
from components.evaluation.measure import Measured, TwoKinds, measure
from components.spec import RunSpec
from components.training.rows import read_tuples


def measure_run(spec: RunSpec, encoder: Path, curves: Mapping[str, Curve]) -> Measured:
    """Measure the exported folder `encoder`, loaded as its users load it: what is logged is what they get.

    Args:
        curves: (step, value) points of every metric of the training.

    Raises:
        DataError: a task's data or the tuples that were trained on are missing.
    """
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder), trust_remote_code=False)
    encode = encoder_of(model, spec.evaluation.batch_size)
    return measure(encode, spec.evaluation, curves, _training_pairs(spec.tuple_sets))


def _training_pairs(names: Iterable[str]) -> dict[str, TwoKinds]:
    """Each tuple set's positive and negative pairs; a set of pairs alone has no negative ones, and is left out."""
    found: dict[str, TwoKinds] = {}
    for name in names:
        texts = read_tuples(name, ["anchor", "positive", "negative"])
        if texts["negative"]:
            found[name] = (texts["anchor"], texts["positive"]), (texts["anchor"], texts["negative"])
    return found
