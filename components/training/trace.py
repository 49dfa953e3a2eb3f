"""What is measured along the way: STS-B dev, and the geometry of held-out training pairs and of STS-B dev."""

from collections.abc import Sequence

import numpy as np
import torch

from components.config.evaluation import Evaluation
from components.config.training import Recipe
from components.encoder.model import SentenceEncoder
from components.encoder.templates import TokenIds
from components.evaluation.geometry import alignment, sts_geometry_sample, uniformity
from components.evaluation.sts import evaluate_sts
from components.evaluation.sts_data import DEV, StsPairs
from components.training.plan import rows_per_batch
from components.training.rows import PartRows

DEV_SCORE = f"sts/{DEV}"  # Spearman ×100; picks the best checkpoint
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
HELDOUT, DEV_GEOMETRY = "geometry/heldout", "geometry/stsb-dev"  # each with /alignment and /uniformity


class Trace:
    """Measures an encoder without disturbing its training: random states are put back, the mode too.

    Geometry is taken with dropout active on both sides, as NGCSE measures it: without, the two sides of a dropout pair
    would coincide. The same dropout seed at every step keeps its noise out of the curve.
    """

    def __init__(
        self,
        encoder: SentenceEncoder,
        parts: Sequence[PartRows],
        dev: StsPairs,
        evaluation: Evaluation,
        *,
        training: Recipe,
        seed: int,
    ) -> None:
        """Draw the samples: of held-out pairs, each part of the data as its share in a batch of `training` is."""
        self._batch_size = evaluation.batch_size
        self._seed = seed
        self._dev = {DEV: dev}
        samples = evaluation.geometry
        sample = sts_geometry_sample(dev, samples.positive_score, samples.negative_score, samples.samples, seed)
        self._half = HALF.get(training.precision)  # as training runs; scores are taken in float32, as they are in use
        self._heldout = heldout_pairs(encoder, parts, training.batch_size, samples.samples, seed)
        self._dev_pairs = (encoder.tokenise(sample.first), encoder.tokenise(sample.second, anchor=False))
        self._dev_sentences = encoder.tokenise(sample.sentences)

    def measure(self, encoder: SentenceEncoder) -> dict[str, float]:
        """`sts/STSB-dev` (×100), and alignment and uniformity of both kinds of pairs."""
        scores = evaluate_sts(lambda texts: encoder.encode(texts, self._batch_size), self._dev).scores
        cuda = [encoder.device] if encoder.device.type == "cuda" else []
        half = torch.autocast(encoder.device.type, self._half, enabled=self._half is not None)
        with torch.random.fork_rng(devices=cuda), half:
            torch.manual_seed(self._seed)
            anchors, positives, first, second, sentences = (
                torch.from_numpy(encoder.embed_sequences(side, batch_size=self._batch_size, dropout=True))
                for side in (*self._heldout, *self._dev_pairs, self._dev_sentences)
            )
        return {
            DEV_SCORE: scores[DEV],
            f"{HELDOUT}/alignment": alignment(anchors, positives),
            f"{HELDOUT}/uniformity": uniformity(anchors),
            f"{DEV_GEOMETRY}/alignment": alignment(first, second),
            f"{DEV_GEOMETRY}/uniformity": uniformity(sentences),
        }


def heldout_pairs(
    encoder: SentenceEncoder, parts: Sequence[PartRows], batch_size: int, samples: int, seed: int
) -> tuple[list[TokenIds], list[TokenIds]]:
    """Anchors and positives kept from training: at most `samples`, of each part as its share in a batch is."""
    generator = np.random.default_rng(seed)
    anchors: list[TokenIds] = []
    positives: list[TokenIds] = []
    for part, count in zip(parts, rows_per_batch([part.part for part in parts], batch_size), strict=True):
        wanted = max(1, samples * count // batch_size)
        rows = np.sort(generator.permutation(part.heldout)[:wanted])
        roles = part.part.roles
        for column, template, side in (
            (roles.anchor, encoder.anchor_template, anchors),
            (roles.positive, encoder.view_template, positives),
        ):
            side += [encoder.wrap(ids, template) for ids in part.heldout_columns[column].take(rows) if ids is not None]
    return anchors, positives
