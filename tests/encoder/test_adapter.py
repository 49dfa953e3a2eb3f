"""LoRA: what is trained of an encoder, and what becomes of it at export."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sentence_transformers import SentenceTransformer

from components.config.encoder import Encoder
from components.encoder.batch import token_batch
from components.encoder.export import export
from components.encoder.model import SentenceEncoder
from components.errors import ConfigError
from tests.encoder.architectures import DECODERS, ENCODERS, SEQUENCE_TO_SEQUENCE, checkpoint

TEXTS = ["the cat sat .", "a dog", "the old king made two red books and his queen saw the city ."]
QUERY = "encoder.layer.1.attention.self.query"


def adapted(folder: Path, *, moved: bool = True, pooling: str = "mean", **lora: Any) -> SentenceEncoder:
    """An encoder with LoRA; `moved`: as if it had been trained, its matrices B away from 0."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        encoder = SentenceEncoder.load(folder, Encoder.model_validate({"pooling": pooling, "lora": lora}))
        for name, parameter in encoder.named_parameters():
            if moved and "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2)
    return encoder.eval()


def trained(encoder: SentenceEncoder) -> set[str]:
    return {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}


def plain(folder: Path) -> np.ndarray:
    return SentenceTransformer(str(folder), device="cpu").encode(TEXTS, batch_size=2)


@pytest.mark.parametrize("kind", [*ENCODERS, *DECODERS, *SEQUENCE_TO_SEQUENCE])
def test_in_every_architecture_it_begins_as_the_base_and_only_the_addition_is_trained(
    kind: str, tmp_path: Path
) -> None:
    folder = checkpoint(kind, tmp_path / "base")
    encoder = adapted(folder, moved=False)
    base = SentenceEncoder.load(folder, Encoder())
    np.testing.assert_array_equal(encoder.encode(TEXTS), base.encode(TEXTS))
    assert trained(encoder) and all("lora_" in name for name in trained(encoder))
    encoder(token_batch(encoder.tokenise(TEXTS))).square().sum().backward()
    assert all(each.grad is not None for name, each in encoder.named_parameters() if "lora_B" in name)


def test_the_addition_is_alpha_over_rank_times_b_times_a(tiny_encoder: Path) -> None:
    encoder = adapted(tiny_encoder, rank=4, alpha=6, targets=["layer.1.attention.self.query"])
    weights = dict(encoder.named_parameters())
    given = {name: weights[f"transformer.{QUERY}.lora_{name}.default.weight"] for name in "AB"}
    assert trained(encoder) == {f"transformer.{QUERY}.lora_{name}.default.weight" for name in "AB"}
    base = SentenceEncoder.load(tiny_encoder, Encoder())
    with torch.no_grad():
        base.transformer.get_submodule(QUERY).weight += 6 / 4 * given["B"] @ given["A"]
    np.testing.assert_allclose(encoder.encode(TEXTS), base.encode(TEXTS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "pooler", "prompt_mask", "last_two_mean"])
def test_a_merged_export_is_a_plain_encoder(tiny_encoder: Path, tmp_path: Path, pooling: str) -> None:
    encoder = adapted(tiny_encoder, pooling=pooling)
    wanted = encoder.encode(TEXTS)
    folder = export(encoder, tmp_path / "out")
    np.testing.assert_allclose(plain(folder), wanted, rtol=0, atol=1e-5)
    with safe_open(folder / "model.safetensors", "np") as file:
        assert not any("lora" in name for name in file.keys())  # noqa: SIM118
    assert not (folder / "adapter_config.json").exists()


@pytest.mark.parametrize(
    ("kind", "pooling"), [("bert", "mean"), ("bert", "prompt_mask"), ("llama", "last"), ("bart", "mean")]
)
def test_an_export_of_the_addition_is_read_with_its_base(tmp_path: Path, kind: str, pooling: str) -> None:
    encoder = adapted(checkpoint(kind, tmp_path / "base"), merge=False, pooling=pooling)
    folder = export(encoder, tmp_path / "out")
    np.testing.assert_allclose(plain(folder), encoder.encode(TEXTS), rtol=0, atol=1e-5)
    assert {path.name for path in folder.glob("*.safetensors")} == {"adapter_model.safetensors"}
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(tmp_path / "base")


def test_dropout_of_the_addition_is_in_training_alone(tmp_path: Path) -> None:
    folder = checkpoint("bert", tmp_path / "base", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    encoder = adapted(folder, dropout=0.5)
    sequences = encoder.tokenise(TEXTS[2:] * 2)
    for dropout in (False, True):
        one, other = encoder.embed_sequences(sequences, dropout=dropout)
        assert np.allclose(one, other, atol=1e-6) != dropout


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (["query", "valu"], "'bert' has no linear layer named 'valu', only dense, key, query, value"),
        (["pooler.dense"], "no linear layer named 'pooler.dense'"),
    ],
)
def test_a_target_that_is_no_linear_layer_is_refused(tiny_encoder: Path, targets: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=rf"encoder.lora.targets: .*{sentence}"):
        adapted(tiny_encoder, targets=targets)


def test_without_peft_it_is_one_sentence(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"encoder.lora: peft is not installed; run: pip install 'cseflow\[lora\]'"):
        adapted(tiny_encoder)
