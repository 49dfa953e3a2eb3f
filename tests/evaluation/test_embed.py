"""Embeddings by way of a sentence-transformers model: packed on a CPU, in the precision that is asked for."""

from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from components.config.encoder import Encoder
from components.encoder import packed
from components.encoder.export import export
from components.encoder.model import SentenceEncoder
from components.evaluation.embed import encoder_of, remembering
from tests.evaluation.toys import hashed

TEXTS = ["the cat sat on the mat .", "a dog", "", "the old king made two red books and he gave this one to her ."]


def exported(tiny_encoder: Path, folder: Path, pooling: str) -> SentenceTransformer:
    settings = {"pooling": pooling, "max_length": 24, "templates": ["this [X] is [MASK] .", "a [X] [MASK]"]}
    encoder = SentenceEncoder.load(tiny_encoder, Encoder.model_validate(settings))
    return SentenceTransformer(str(export(encoder, folder / "out")), device="cpu")


@pytest.mark.parametrize("pooling", ["cls", "mean", "first_last_mean", "last", "prompt_mask"])
def test_the_embeddings_are_the_models_own(tiny_encoder: Path, tmp_path: Path, pooling: str) -> None:
    model = exported(tiny_encoder, tmp_path, pooling)
    np.testing.assert_allclose(encoder_of(model, 2)(TEXTS), model.encode(TEXTS), rtol=0, atol=1e-6)


def test_a_bert_on_a_cpu_is_packed(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    plain = packed.packed_states
    monkeypatch.setattr(packed, "packed_states", lambda *given, **more: calls.append(1) or plain(*given, **more))
    encoder_of(exported(tiny_encoder, tmp_path, "mean"), 2)(TEXTS)
    assert len(calls) == 2


def test_the_model_is_left_as_it_was(tiny_encoder: Path, tmp_path: Path) -> None:
    model = exported(tiny_encoder, tmp_path, "mean")
    before = model.encode(TEXTS)
    encoder_of(model)(TEXTS)
    np.testing.assert_array_equal(model.encode(TEXTS), before)


def test_half_precision_is_near_and_comes_as_float32(tiny_encoder: Path, tmp_path: Path) -> None:
    model = exported(tiny_encoder, tmp_path, "mean")
    half = encoder_of(model, precision="bf16")(TEXTS)
    assert half.dtype == np.float32
    whole = model.encode(TEXTS)
    cosines = (half * whole).sum(1) / np.linalg.norm(half, axis=1) / np.linalg.norm(whole, axis=1)
    assert cosines.min() > 0.999 and not np.array_equal(half, whole)


def test_a_sentence_is_embedded_once_over_all_calls() -> None:
    asked: list[str] = []
    encode = remembering(lambda sentences: asked.extend(sentences) or hashed(sentences))
    encode(TEXTS[:3])
    np.testing.assert_array_equal(encode(TEXTS), hashed(TEXTS))
    assert sorted(asked) == sorted(TEXTS)
