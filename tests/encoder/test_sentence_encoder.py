"""Sentences to embeddings: what must not change them, and what can't be loaded."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from components.config.encoder import Encoder
from components.encoder.batch import token_batch
from components.encoder.model import SentenceEncoder
from components.errors import ConfigError, DataError
from tests.encoder.architectures import ENCODERS, checkpoint

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


def test_the_pooler_is_berts_own(encoder: SentenceEncoder, tiny_encoder: Path) -> None:
    own = SentenceEncoder.load(tiny_encoder, Encoder(pooling="pooler"))
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_encoder), AutoModel.from_pretrained(tiny_encoder).eval()
    with torch.no_grad():
        alone = [model(**tokenizer(text, return_tensors="pt")).pooler_output[0] for text in TEXTS]
    np.testing.assert_allclose(own.encode(TEXTS), torch.stack(alone).numpy(), rtol=0, atol=1e-6)


def test_the_pooler_is_trained_where_it_is_read(tiny_encoder: Path) -> None:
    trained = [
        {name for name, each in SentenceEncoder.load(tiny_encoder, Encoder(pooling=pooling)).named_parameters()
         if each.requires_grad and "pooler" in name}
        for pooling in ("pooler", "cls")
    ]  # fmt: skip
    assert trained == [{"transformer.pooler.dense.weight", "transformer.pooler.dense.bias"}, set()]


def test_a_pooler_without_weights_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_encoder, tmp_path / "bare")
    weights = load_file(folder / "model.safetensors")
    save_file({name: each for name, each in weights.items() if "pooler" not in name}, folder / "model.safetensors")
    SentenceEncoder.load(folder, Encoder(pooling="cls"))
    with pytest.raises(ConfigError, match=r"encoder.pooling: .*bare holds no weights of a pooler; take cls"):
        SentenceEncoder.load(folder, Encoder(pooling="pooler"))


@pytest.mark.parametrize("kind", ["distilbert", "gpt2", "modernbert"])
def test_a_pooler_that_the_architecture_has_not_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"encoder.pooling: pooler is a BERT's .*, which '{kind}' has not"):
        SentenceEncoder.load(checkpoint(kind, tmp_path / "base"), Encoder(pooling="pooler"))


@pytest.mark.parametrize(
    "settings, std, bias_std", [({}, 0.02, 0.0), ({"head_std": 6e-3, "head_bias_std": 6e-3}, 6e-3, 6e-3)]
)
def test_the_head_starts_as_it_is_told(
    tiny_encoder: Path, settings: dict[str, float], std: float, bias_std: float
) -> None:
    torch.manual_seed(0)
    loaded = SentenceEncoder.load(tiny_encoder, Encoder(head="training", **settings))
    assert isinstance(loaded.head, torch.nn.Sequential)
    dense = loaded.head[0]
    assert dense.weight.std().item() == pytest.approx(std, rel=0.1)
    assert dense.bias.std().item() == pytest.approx(bias_std, rel=0.4, abs=0)


@pytest.mark.parametrize("activation", ["tanh", "none"])
def test_the_objective_sees_the_head_in_plain_numbers(tiny_encoder: Path, activation: str) -> None:
    settings = Encoder.model_validate({"head": "training", "head_activation": activation, "head_bias_std": 0.1})
    loaded = SentenceEncoder.load(tiny_encoder, settings).double().eval()
    batch = token_batch(loaded.tokenise(TEXTS[:2]))
    dense = loaded.head[0]
    plain = loaded.embed(batch).detach().numpy() @ dense.weight.detach().numpy().T + dense.bias.detach().numpy()
    expected = np.tanh(plain) if activation == "tanh" else plain
    np.testing.assert_allclose(loaded(batch).detach().numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layers, kept", [(0, ["embeddings."]), (1, ["embeddings.", "encoder.layer.0."])])
def test_what_is_frozen_takes_no_gradient(tiny_encoder: Path, layers: int, kept: list[str]) -> None:
    loaded = SentenceEncoder.load(tiny_encoder, Encoder(frozen_layers=layers, pooling="pooler"))
    loaded(token_batch(loaded.tokenise(TEXTS))).square().sum().backward()
    for name, parameter in loaded.transformer.named_parameters():
        assert (parameter.grad is None) == name.startswith(tuple(kept)), name


@pytest.mark.parametrize("kind", [kind for kind in ENCODERS if kind != "albert"])
def test_layers_can_be_frozen_in(kind: str, tmp_path: Path) -> None:
    loaded = SentenceEncoder.load(checkpoint(kind, tmp_path / "base"), Encoder(frozen_layers=1))
    layers = {
        name: any(parameter.requires_grad for parameter in module.parameters())
        for name, module in loaded.transformer.named_modules()
        if name.endswith(("layer.0", "layer.1", "layers.0", "layers.1"))
    }
    assert sorted(layers.values()) == [False, True]


@pytest.mark.parametrize(
    "kind, layers, sentence",
    [
        ("gpt2", 0, "the embeddings of 'gpt2' can't be frozen here"),
        ("albert", 1, "'albert' has no layers of their own to freeze"),
        ("roberta", 3, "3 of 2 layers can't be frozen"),
        ("distilbert", 2, "2 leaves nothing to train"),
    ],
)
def test_what_can_not_be_frozen_is_refused(kind: str, layers: int, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"encoder.frozen_layers: {sentence}"):
        SentenceEncoder.load(checkpoint(kind, tmp_path / "base"), Encoder(frozen_layers=layers))
