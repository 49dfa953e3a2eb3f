"""What is measured along the way: the dev task, and the geometry of held-out training data and of the dev task."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from components.config.evaluation import Evaluation
from components.config.training import Recipe, Schedule
from components.encoder.model import SentenceEncoder
from components.encoder.templates import TokenIds
from components.evaluation.geometry import alignment, sts_geometry_sample, uniformity
from components.evaluation.sts import evaluate_sts
from components.evaluation.sts_data import StsPairs
from components.training.plan import mean_rows
from components.training.rows import PartRows, columns_of

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
HELDOUT = "geometry/heldout"  # with /alignment and /uniformity


class Sample(NamedTuple):
    """Held-out rows of one part of the data, as whole sequences; each side holds as many, row by row.

    Attributes:
        set: where they are from.
        anchors, positives: what alignment is taken of.
        others: a tuple's further texts, which uniformity counts with the first two; None for plain pairs, of which it
            takes the anchors alone.
    """

    set: str
    anchors: list[TokenIds]
    positives: list[TokenIds]
    others: list[list[TokenIds]] | None


class Trace:
    """Measures an encoder without disturbing its training: random states are put back, the mode too.

    Geometry is taken as NGCSE takes it (Li et al. 2024; its released code settles what the paper leaves open). Dropout
    is active on both sides: without, those of a dropout pair would coincide. Every text stands under the template that
    is in use. Of a variant that trains on tuples the tuples alone are the held-out training data, and uniformity is
    over anchors and levels; of one without, its own pairs are, and uniformity is over anchors. Where there are both,
    each kind is also measured apart. The same dropout seed at every step keeps its noise out of the curve.
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
        """Draw the samples of `parts`, which share them as they share a batch of `training`."""
        self._batch_size = evaluation.batch_size
        self._seed = seed
        self._task, self._dev = evaluation.dev, dev
        self.dev_score = f"sts/{evaluation.dev}"  # Spearman ×100; picks the best checkpoint
        samples = evaluation.geometry
        sample = sts_geometry_sample(dev, samples.positive_score, samples.negative_score, samples.samples)
        self._half = HALF.get(training.precision)  # as training runs; scores are taken in float32, as they are in use
        self._samples = samples.samples
        self._heldout = heldout_samples(encoder, parts, training, samples.samples, seed)
        self._dev_sides = [encoder.tokenise(side) for side in sample]

    @property
    def heldout(self) -> dict[str, int]:
        """Set → how many of its rows `geometry/heldout` is taken of."""
        counts: dict[str, int] = {}
        for sample in next(iter(self._heldout.values())):
            counts[sample.set] = counts.get(sample.set, 0) + len(sample.anchors)
        return counts

    def measure(self, encoder: SentenceEncoder) -> dict[str, float]:
        """`sts/<dev>` (×100), and alignment and uniformity of held-out training data and of the dev task."""
        scores = evaluate_sts(lambda texts: encoder.encode(texts, self._batch_size), {self._task: self._dev}).scores
        cuda = [encoder.device] if encoder.device.type == "cuda" else []
        half = torch.autocast(encoder.device.type, self._half, enabled=self._half is not None)
        with torch.random.fork_rng(devices=cuda), half:
            found = {kind: self._of_samples(encoder, samples) for kind, samples in self._heldout.items()}
            torch.manual_seed(self._seed)
            first, second, sentences = (self._embedded(encoder, side) for side in self._dev_sides)
        apart = {f"{HELDOUT}-{kind}": figures for kind, figures in found.items()} if len(found) > 1 else {}
        geometry = {HELDOUT: next(iter(found.values())), **apart}
        geometry[f"geometry/{self._task}"] = {
            "alignment": alignment(first, second),
            "uniformity": uniformity(sentences),
        }
        return {self.dev_score: scores[self._task]} | {
            f"{name}/{measure}": value for name, figures in geometry.items() for measure, value in figures.items()
        }

    def _of_samples(self, encoder: SentenceEncoder, samples: Sequence[Sample]) -> dict[str, float]:
        torch.manual_seed(self._seed)
        pairs, sentences = [], []
        for sample in samples:
            pair = [self._embedded(encoder, side) for side in (sample.anchors, sample.positives)]
            pairs.append(pair)
            if sample.others is None:
                sentences.append(pair[0])
            else:  # tuple by tuple, so that a bound on sentences keeps whole ones
                levels = [*pair, *(self._embedded(encoder, side) for side in sample.others)]
                sentences.append(torch.stack(levels, dim=1).flatten(0, 1))
        anchors, positives = (torch.cat(side) for side in zip(*pairs, strict=True))
        return {
            "alignment": alignment(anchors, positives),
            "uniformity": uniformity(torch.cat(sentences)[: self._samples]),
        }

    def _embedded(self, encoder: SentenceEncoder, sequences: Sequence[TokenIds]) -> Tensor:
        return torch.from_numpy(encoder.embed_sequences(sequences, batch_size=self._batch_size, dropout=True))


def heldout_samples(
    encoder: SentenceEncoder, parts: Sequence[PartRows], training: Schedule, samples: int, seed: int
) -> dict[str, list[Sample]]:
    """At most `samples` rows of `tuples`, if there are any, and as many of plain `pairs`, if there are any.

    Parts of one kind share them as they share a batch.
    """
    shares = mean_rows([part.part for part in parts], [part.rows for part in parts], training)
    found = {}
    for kind in ("tuples", "pairs"):
        of_kind = [
            pair for pair in zip(parts, shares, strict=True) if (pair[0].part.set == "corpus") == (kind == "pairs")
        ]
        if of_kind:
            generator, total = np.random.default_rng(seed), sum(share for _, share in of_kind)
            found[kind] = [
                _sample(encoder, part, max(1, int(samples * share / total + 1e-9)), generator)
                for part, share in of_kind
            ]
    return found


def _sample(encoder: SentenceEncoder, part: PartRows, wanted: int, generator: np.random.Generator) -> Sample:
    rows = np.sort(generator.permutation(part.heldout)[:wanted])

    def side(column: str) -> list[TokenIds]:
        taken = part.heldout_columns[column].take(rows)
        return [encoder.wrap(ids, encoder.anchor_template) for ids in taken if ids is not None]

    roles = part.part.roles
    others = [name for name in columns_of(roles) if name not in (roles.anchor, roles.positive)]
    return Sample(
        part.part.set,
        side(roles.anchor),
        side(roles.positive),
        None if part.part.set == "corpus" else [side(name) for name in others],
    )
