"""Sentences to embeddings: what must not change them, and what can't be loaded."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from components.config.encoder import Encoder
from components.encoder.model import SentenceEncoder
from components.errors import ConfigError, DataError

TEXTS = ["the cat sat .", "a dog", "", "the old king made two red books and his queen saw the city .", "the cat sat ."]


@pytest.fixture(scope="module")
def encoder(tiny_encoder: Path) -> SentenceEncoder:
    return SentenceEncoder.load(tiny_encoder, Encoder())


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_batch_size_changes_no_embedding(encoder: SentenceEncoder, batch_size: int) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS, batch_size), alone, rtol=0, atol=1e-6)


def test_order_changes_no_embedding(encoder: SentenceEncoder) -> None:
    order = [3, 1, 4, 0, 2]
    shuffled = encoder.encode([TEXTS[i] for i in order], batch_size=2)
    np.testing.assert_allclose(shuffled, encoder.encode(TEXTS, batch_size=2)[order], rtol=0, atol=1e-6)


def test_no_text_gives_no_row(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_encoding_leaves_the_training_mode(encoder: SentenceEncoder) -> None:
    encoder.train()
    encoder.encode(TEXTS)
    assert encoder.training and encoder.transformer.training
    encoder.eval()


def test_dropout_is_active_when_asked_for(encoder: SentenceEncoder) -> None:
    sequences = encoder.tokenise(["the cat sat ."] * 2)
    first, second = encoder.embed_sequences(sequences, dropout=True)
    assert not np.allclose(first, second)


@pytest.mark.parametrize("asked, given", [(16, 16), (256, 64)])
def test_texts_are_cut_to_the_settings_or_to_what_the_checkpoint_takes(
    tiny_encoder: Path, asked: int, given: int
) -> None:
    encoder = SentenceEncoder.load(tiny_encoder, Encoder(max_length=asked))
    assert len(encoder.tokenise(["the cat " * 100])[0]) == given


def test_special_tokens_in_a_text_are_plain_text(encoder: SentenceEncoder) -> None:
    [sequence] = encoder.tokenise(["the [PAD] cat [MASK] [SEP]"])
    special = {encoder.tokenizer.pad_token_id, encoder.tokenizer.mask_token_id, encoder.tokenizer.sep_token_id}
    assert not special & set(sequence[1:-1].tolist())


def test_a_template_longer_than_the_length_is_refused(tiny_encoder: Path) -> None:
    template = "this big old red house is not [X] the [MASK] ."
    settings = Encoder(pooling="prompt_mask", templates=[template], max_length=12)
    with pytest.raises(ConfigError, match=r"encoder.max_length: 12 tokens leave no room beside the template's 12"):
        SentenceEncoder.load(tiny_encoder, settings)


def test_a_tokenizer_that_pads_with_its_separator_changes_no_embedding(
    encoder: SentenceEncoder, tiny_encoder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_encoder, tmp_path / "eos")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.sep_token
    tokenizer.save_pretrained(folder)
    np.testing.assert_allclose(
        SentenceEncoder.load(folder, Encoder()).encode(TEXTS), encoder.encode(TEXTS), rtol=0, atol=1e-6
    )


def test_a_missing_folder_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent is missing; run `dvc repro` to fetch the encoder"):
        SentenceEncoder.load(tmp_path / "absent", Encoder())


def test_a_pickled_checkpoint_is_not_opened(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_encoder, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save(AutoModel.from_pretrained(tiny_encoder).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"pickled holds no readable transformers checkpoint: .*model.safetensors"):
        SentenceEncoder.load(folder, Encoder())


def test_truncated_weights_are_a_clear_error(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_encoder, tmp_path / "torn")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(DataError, match="torn holds no readable transformers checkpoint"):
        SentenceEncoder.load(folder, Encoder())
