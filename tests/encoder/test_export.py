"""The exported folder, read by plain sentence-transformers, is the very encoder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from components.config.encoder import Encoder
from components.encoder.export import export
from components.encoder.model import SentenceEncoder

POOLINGS = ["cls", "pooler", "mean", "first_last_mean", "last_two_mean", "last", "prompt_mask"]
TEXTS = [
    "the cat sat on the mat .",
    "a dog",
    " his queen ",
    "the old king made two red books and he gave this one to her . " * 5,  # longer than max_length
    "not a [PAD] and not a [MASK] [SEP]",
]


def encoder_with(folder: Path, pooling: str, head: str, **more: object) -> SentenceEncoder:
    settings = {
        "pooling": pooling,
        "head": head,
        "max_length": 24,
        "templates": ["this [X] is [MASK] .", "a [X] [MASK]"],
        **more,
    }
    encoder = SentenceEncoder.load(folder, Encoder.model_validate(settings))
    if encoder.head is not None:
        # Larger than at the start of a training, where a forgotten head could hide in its small outputs.
        with torch.random.fork_rng():
            torch.manual_seed(1)
            for parameter in encoder.head.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
    return encoder


@pytest.mark.parametrize("head", ["none", "training", "always"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_plain_sentence_transformers_gives_the_same_embeddings(
    tiny_encoder: Path, tmp_path: Path, pooling: str, head: str
) -> None:
    encoder = encoder_with(tiny_encoder, pooling, head)
    loaded = SentenceTransformer(str(export(encoder, tmp_path / "out")), device="cpu")
    np.testing.assert_allclose(loaded.encode(TEXTS, batch_size=2), encoder.encode(TEXTS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", ["cls", "pooler"])
def test_a_head_without_tanh_is_exported_so(tiny_encoder: Path, tmp_path: Path, pooling: str) -> None:
    encoder = encoder_with(tiny_encoder, pooling, "always", head_activation="none")
    loaded = SentenceTransformer(str(export(encoder, tmp_path / "out")), device="cpu").encode(TEXTS, batch_size=2)
    np.testing.assert_allclose(loaded, encoder.encode(TEXTS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_training_head_is_not_exported(tiny_encoder: Path, tmp_path: Path, pooling: str) -> None:
    exported = export(encoder_with(tiny_encoder, pooling, "training"), tmp_path / "out")
    headless = encoder_with(tiny_encoder, pooling, "none")
    loaded = SentenceTransformer(str(exported), device="cpu")
    np.testing.assert_allclose(loaded.encode(TEXTS), headless.encode(TEXTS), rtol=0, atol=1e-6)


def test_a_training_head_is_what_the_objective_sees(tiny_encoder: Path) -> None:
    from components.encoder.batch import token_batch

    encoder = encoder_with(tiny_encoder, "mean", "training").eval()
    batch = token_batch(encoder.tokenise(TEXTS))
    assert encoder.head is not None
    torch.testing.assert_close(encoder(batch), encoder.head(encoder.embed(batch)))


def test_export_holds_safetensors_and_nothing_pickled(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = export(encoder_with(tiny_encoder, "prompt_mask", "always"), tmp_path / "out")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in files)
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt", ".md"}


def test_export_needs_no_code_of_ours(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = export(encoder_with(tiny_encoder, "prompt_mask", "always"), tmp_path / "out")
    assert "components." not in (folder / "modules.json").read_text()


def test_an_export_can_be_trained_on_again(tiny_encoder: Path, tmp_path: Path) -> None:
    encoder = encoder_with(tiny_encoder, "mean", "none")
    again = SentenceEncoder.load(export(encoder, tmp_path / "out"), encoder.settings)
    np.testing.assert_allclose(again.encode(TEXTS), encoder.encode(TEXTS), rtol=0, atol=1e-6)
