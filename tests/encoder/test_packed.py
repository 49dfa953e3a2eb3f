"""The packed transformer against the padded one; dropout by our own masks against what it promises."""

from pathlib import Path

import numpy as np
import pytest
import torch

from components.config.encoder import Encoder
from components.encoder import model
from components.encoder.batch import HIDDEN, TokenBatch, token_batch
from components.encoder.dropout import Dropout, kept
from components.encoder.model import SentenceEncoder
from components.encoder.packed import packs, padded_states

TEXTS = ["the cat sat .", "a dog", "", "the old king made two red books and his queen saw the city .", "the cat saw ."]


def batch_of(encoder: SentenceEncoder, rows: int) -> TokenBatch:
    """TEXTS in tensors of `rows` rows, with a token hidden in the midst of the first."""
    sequences = encoder.tokenise(TEXTS)
    sequences[0] = sequences[0].copy()
    sequences[0][2] = HIDDEN
    return token_batch(sequences, rows=rows)


def padded(patch: pytest.MonkeyPatch) -> None:
    """From here on the padded way is taken."""
    patch.setattr(model, "packed_states", padded_states)


def test_a_bert_on_a_cpu_is_packed(tiny_encoder: Path) -> None:
    assert packs(SentenceEncoder.load(tiny_encoder, Encoder()).transformer)


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(
    "pooling", ["cls", "pooler", "mean", "first_last_mean", "last_two_mean", "last", "prompt_mask"]
)
def test_packed_embeddings_are_the_padded_ones(
    tiny_encoder: Path, pooling: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = SentenceEncoder.load(tiny_encoder, Encoder.model_validate({"pooling": pooling})).eval()
    batch = batch_of(encoder, rows)
    packed = encoder(batch)
    padded(monkeypatch)
    torch.testing.assert_close(packed, encoder(batch), rtol=0, atol=1e-6)


def test_packed_gradients_are_the_padded_ones(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder.load(tiny_encoder, Encoder()).eval()
    batch = batch_of(encoder, 2)

    def gradients() -> dict[str, torch.Tensor]:
        encoder.zero_grad()
        encoder(batch).square().sum().backward()
        return {name: each.grad.clone() for name, each in encoder.named_parameters() if each.grad is not None}

    packed = gradients()
    padded(monkeypatch)
    torch.testing.assert_close(packed, gradients(), rtol=1e-4, atol=1e-5)


def test_attention_drops_in_training_alone(tiny_encoder: Path) -> None:
    encoder = SentenceEncoder.load(tiny_encoder, Encoder()).train()
    for module in encoder.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    batch = batch_of(encoder, 5)
    plain = encoder(batch)
    for layer in encoder.transformer.encoder.layer:
        layer.attention.self.dropout.p = 0.5
    assert not torch.allclose(encoder(batch), plain)
    torch.testing.assert_close(encoder.eval()(batch), plain)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_masks_drop_their_share_and_keep_the_expectation(share: float) -> None:
    torch.manual_seed(0)
    mask = kept(1_000_001, share, torch.float64).numpy()
    assert len(np.unique(mask)) == 2
    assert np.mean(mask == 0) == pytest.approx(share, abs=4 * (share * (1 - share) / 1e6) ** 0.5 + 2**-17)
    assert (1 - share) * mask.max() == pytest.approx(1, abs=1e-4)


def test_neighbours_in_a_mask_are_independent() -> None:
    torch.manual_seed(0)
    dropped = kept(1_000_000, 0.1, torch.float32).numpy() == 0
    for lag in (1, 2, 3, 4, 384):
        assert np.mean(dropped[lag:] & dropped[:-lag]) == pytest.approx(0.01, abs=5e-4)


def test_masks_follow_from_torchs_seed() -> None:
    torch.manual_seed(3)
    first, second = kept(100, 0.5, torch.float32), kept(100, 0.5, torch.float32)
    torch.manual_seed(3)
    assert torch.equal(kept(100, 0.5, torch.float32), first) and not torch.equal(first, second)


def test_a_gradient_is_dropped_where_its_state_was() -> None:
    states = torch.ones(1000, requires_grad=True)
    out = Dropout(0.5)(states)
    out.sum().backward()
    assert states.grad is not None and torch.equal(states.grad, out.detach())
