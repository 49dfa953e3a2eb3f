"""Measuring along the way does not disturb what is measured."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from components import paths
from components.config import load_params
from components.config.variants import Part, Roles
from components.encoder.model import SentenceEncoder
from components.evaluation.geometry import alignment, uniformity
from components.evaluation.sts_data import DEV, load_sts
from components.training.rows import load_part
from components.training.trace import Trace, heldout_pairs


@pytest.fixture
def encoder(miniature: Path) -> SentenceEncoder:
    return SentenceEncoder.load(paths.SOURCES / "encoder", load_params().encoder)


@pytest.fixture
def trace(encoder: SentenceEncoder) -> Trace:
    part = Part(set="corpus", roles=Roles(anchor="identity", positive="identity"))
    parts = [load_part(part, lambda texts: pytest.fail("nothing to tokenise"), seed=0)]
    params = load_params()
    training = params.training.model_copy(update={"batch_size": 8, "precision": "fp32"})
    return Trace(encoder, parts, load_sts(DEV), params.evaluation, training=training, seed=0)


def random_states() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())


def test_random_states_are_left_as_they_were(encoder: SentenceEncoder, trace: Trace) -> None:
    before = random_states()
    trace.measure(encoder)
    assert random_states() == before


@pytest.mark.parametrize("mode", [True, False])
def test_the_mode_is_left_as_it_was(encoder: SentenceEncoder, trace: Trace, mode: bool) -> None:
    encoder.train(mode)
    trace.measure(encoder)
    assert {module.training for module in encoder.modules()} == {mode}


def test_the_same_weights_give_the_same_figures(encoder: SentenceEncoder, trace: Trace) -> None:
    first = trace.measure(encoder)
    torch.rand(3)
    assert trace.measure(encoder.train()) == first


def test_figures_are_those_of_embeddings_with_dropout(encoder: SentenceEncoder, trace: Trace) -> None:
    figures = trace.measure(encoder)
    part = Part(set="corpus", roles=Roles(anchor="identity", positive="identity"))
    sides = heldout_pairs(encoder, [load_part(part, lambda texts: pytest.fail("none"), seed=0)], 8, 40, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        anchors, positives = (
            torch.from_numpy(encoder.embed_sequences(side, batch_size=64, dropout=True)) for side in sides
        )
    assert (figures["geometry/heldout/alignment"], figures["geometry/heldout/uniformity"]) == (
        alignment(anchors, positives),
        uniformity(anchors),
    )


def test_heldout_pairs_are_shared_as_a_batch_is(encoder: SentenceEncoder) -> None:
    parts = [
        Part(set="corpus", rows=6, roles=Roles(anchor="identity", positive="identity")),
        Part(set="corpus", rows=2, roles=Roles(anchor="identity", positive="token_shuffle")),
    ]
    loaded = [load_part(part, lambda texts: pytest.fail("none"), seed=0) for part in parts]
    anchors, positives = heldout_pairs(encoder, loaded, batch_size=8, samples=40, seed=0)
    same = [np.array_equal(anchor, positive) for anchor, positive in zip(anchors, positives, strict=True)]
    assert same == [True] * 30 + [False] * 10
