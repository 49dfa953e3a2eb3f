"""Measuring along the way does not disturb what is measured."""

import copy
import math
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from components import paths
from components.augmentation.tokens import tokenise
from components.config import Params, load_params, variant_settings
from components.config.training import Training
from components.config.variants import Part, Roles
from components.encoder.model import SentenceEncoder
from components.evaluation.geometry import alignment, uniformity
from components.evaluation.measure import measure
from components.evaluation.sts_data import load_sts
from components.training.rows import load_part
from components.training.run import train
from components.training.trace import Trace, heldout_samples

TRAINING = Training(learning_rate=1e-5, evaluation_steps=1, batch_size=8)


@pytest.fixture
def encoder(miniature: Path) -> SentenceEncoder:
    return SentenceEncoder.load(paths.SOURCES / "encoder", load_params().encoder)


@pytest.fixture
def trace(encoder: SentenceEncoder) -> Trace:
    part = Part(set="corpus", roles=Roles(anchor="identity", positive="identity"))
    parts = [load_part(part, lambda texts: pytest.fail("nothing to tokenise"), seed=0)]
    params = load_params()
    training = params.training.model_copy(update={"batch_size": 8, "precision": "fp32"})
    return Trace(encoder, parts, load_sts("STSB-dev"), params.evaluation, training=training, seed=0)


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
    [sample] = heldout_samples(encoder, [load_part(part, lambda texts: pytest.fail("none"), seed=0)], TRAINING, 40, 0)[
        "pairs"
    ]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        anchors, positives = (
            torch.from_numpy(encoder.embed_sequences(side, batch_size=64, dropout=True))
            for side in (sample.anchors, sample.positives)
        )
    assert (figures["geometry/heldout/alignment"], figures["geometry/heldout/uniformity"]) == (
        alignment(anchors, positives),
        uniformity(anchors),
    )


def test_held_out_pairs_are_shared_as_a_batch_is(encoder: SentenceEncoder) -> None:
    parts = [
        Part(set="corpus", rows=6, roles=Roles(anchor="identity", positive="identity")),
        Part(set="corpus", rows=2, roles=Roles(anchor="identity", positive="token_shuffle")),
    ]
    loaded = [load_part(part, lambda texts: pytest.fail("none"), seed=0) for part in parts]
    samples = heldout_samples(encoder, loaded, TRAINING, samples=40, seed=0)["pairs"]
    assert [len(sample.anchors) for sample in samples] == [30, 10]


# NGCSE's sets once more, from the files and by plain loops in float64. Dropout is off, so that any order of encoding
# gives the same embeddings.

SAMPLES = 16


def plain_figures(encoder: SentenceEncoder, pairs: list[tuple[str, str]], texts: list[str]) -> list[float]:
    """Alignment of `pairs` and uniformity of `texts`."""

    def unit(text: str) -> np.ndarray:
        row = encoder.encode([text])[0].astype(np.float64)
        return row / math.sqrt(row @ row)

    near = [float(((unit(first) - unit(second)) ** 2).sum()) for first, second in pairs]
    spread = [math.exp(-2 * ((u - v) ** 2).sum()) for u, v in combinations(map(unit, texts), 2)]
    return [math.fsum(near) / len(near), math.log(math.fsum(spread) / len(spread))]


def measured(name: str, **encoder: Any) -> tuple[Trace, SentenceEncoder, dict[str, float]]:
    params = load_params()
    settings = variant_settings(params, name, {"batch_size": 24, "precision": "fp32"})
    loaded = SentenceEncoder.load(
        paths.SOURCES / "encoder", settings.encoder.model_copy(update={"dropout": 0.0} | encoder)
    )
    parts = [
        load_part(part, lambda texts: tokenise(texts, loaded.tokenizer, 32), seed=0) for part in settings.variant.data
    ]
    geometry = params.evaluation.geometry.model_copy(update={"samples": SAMPLES})
    evaluation = params.evaluation.model_copy(update={"geometry": geometry})
    trace = Trace(loaded, parts, load_sts("STSB-dev"), evaluation, training=settings.training.recipe("fp32"), seed=0)
    return trace, loaded, trace.measure(loaded)


def figures(metrics: dict[str, float], name: str) -> list[float]:
    return [metrics[f"geometry/{name}/{measure}"] for measure in ("alignment", "uniformity")]


def heldout_tuples(name: str) -> list[dict[str, str]]:
    rows = pq.read_table(paths.TUPLES / f"{name}.parquet").to_pylist()
    chosen = np.random.default_rng(0).permutation(len(rows))[: len(rows) // 10]
    kept = [rows[i] for i in sorted(chosen)]
    return [kept[i] for i in sorted(np.random.default_rng(0).permutation(len(kept)))]


Pairs = list[tuple[str, str]]


def plain_tuples(name: str, positive: str, levels: list[str]) -> tuple[Pairs, list[str]]:
    """What alignment and what uniformity of held-out tuples is taken of."""
    tuples = heldout_tuples("sts" if "sts" in name else "nli")
    texts = [each[level] for each in tuples for level in levels]
    return [(each["anchor"], each[positive]) for each in tuples], texts[:SAMPLES]


def plain_corpus() -> tuple[Pairs, list[str]]:
    """Likewise of held-out sentences."""
    corpus = pq.read_table(paths.CORPUS / "heldout.parquet")["text"].to_pylist()
    texts = [corpus[i] for i in np.random.default_rng(0).permutation(len(corpus))[:SAMPLES]]
    return [(text, text) for text in texts], texts


def plain_dev() -> tuple[Pairs, list[str]]:
    """Likewise of STS-B dev."""
    loaded = load_sts("STSB-dev")
    dev = list(zip(loaded.first, loaded.second, loaded.score, strict=True))
    clear = [pair for pair in dev if pair[2] >= 4 or pair[2] <= 1]
    return [pair[:2] for pair in dev if pair[2] >= 4][:SAMPLES], [text for pair in clear for text in pair[:2]][:SAMPLES]


GRADED = ["anchor", "intermediate", "positive", "negative"]


@pytest.mark.parametrize(
    ("name", "positive", "levels"),
    [("ngcse-sts-ht", "intermediate", GRADED), ("ngcse-nli", "positive", ["anchor", "positive", "negative"])],
)
def test_of_a_variant_with_tuples_they_alone_are_held_out_training_data(
    miniature: Path, name: str, positive: str, levels: list[str]
) -> None:
    trace, encoder, metrics = measured(name)
    pairs, texts = plain_tuples(name, positive, levels)
    assert figures(metrics, "heldout") == pytest.approx(plain_figures(encoder, pairs, texts), abs=1e-5)
    assert figures(metrics, "heldout-tuples") == figures(metrics, "heldout")
    assert trace.heldout == {"tuples/sts" if "sts" in name else "tuples/nli": len(pairs)}


@pytest.mark.parametrize(("name", "logged"), [("simcse", "heldout"), ("ngcse-sts", "heldout-pairs")])
def test_plain_pairs_are_measured_by_their_anchors(miniature: Path, name: str, logged: str) -> None:
    _, encoder, metrics = measured(name)
    assert figures(metrics, logged) == pytest.approx(plain_figures(encoder, *plain_corpus()), abs=1e-5)


def test_sts_b_is_measured_by_its_first_clear_pairs_under_the_prompt_in_use(miniature: Path) -> None:
    prompts = {"pooling": "prompt_mask", "templates": ["this [X] is [MASK] .", "a [X] was [MASK] ."]}
    _, encoder, metrics = measured("simcse", **prompts)
    assert figures(metrics, "STSB-dev") == pytest.approx(plain_figures(encoder, *plain_dev()), abs=1e-5)


@pytest.mark.parametrize("name", ["simcse", "ngcse-sts-ht"])
def test_the_rfd_of_a_training_is_that_of_its_encoders_computed_plainly(
    miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    raw = load_params().model_dump()
    raw["evaluation"]["geometry"]["samples"] = SAMPLES
    params = Params.model_validate(raw)
    encoders: dict[int, SentenceEncoder] = {}
    curves: dict[str, list[tuple[int, float]]] = {}

    def record(values: dict[str, float], step: int) -> None:
        for metric, value in values.items():
            curves.setdefault(metric, []).append((step, value))

    measure_step = Trace.measure

    def keep(trace: Trace, encoder: SentenceEncoder) -> dict[str, float]:
        kept = copy.deepcopy(encoder)
        for module in kept.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        encoders[len(encoders)] = kept
        return measure_step(trace, kept)

    monkeypatch.setattr(Trace, "measure", keep)
    overrides = {"sentences": 48, "batch_size": 24, "evaluation_steps": 1, "precision": "fp32"}
    train(params, variant_settings(params, name, overrides), 0, tmp_path / "run", record)
    heldout = plain_tuples(name, "intermediate", GRADED) if name == "ngcse-sts-ht" else plain_corpus()
    steps = [encoders[number] for number in sorted(encoders)][1:]
    assert len(steps) >= 2
    apart = [np.subtract(plain_figures(encoder, *heldout), plain_figures(encoder, *plain_dev())) for encoder in steps]
    metrics = measure(steps[-1].encode, params.evaluation, curves, {}).metrics
    found = [metrics["rfd/alignment"], metrics["rfd/uniformity"]]
    assert found == pytest.approx(list(np.mean(apart, axis=0)), abs=1e-5)
