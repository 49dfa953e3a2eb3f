"""Masked language modelling beside the objective: which tokens are hidden, and the loss against transformers' own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoTokenizer, BertForMaskedLM

from components.config import load_params, variant_settings
from components.config.encoder import Encoder
from components.config.variants import Composition
from components.encoder.batch import HIDDEN, token_batch
from components.encoder.model import SentenceEncoder
from components.encoder.pretrained import load_language_head
from components.errors import ConfigError
from components.training import model as module
from components.training.language import Vocabulary, mask_tokens
from components.training.model import ContrastiveModel
from components.training.run import train
from tests.encoder.architectures import checkpoint
from tests.project import make_project

TEXTS = ["the cat sat .", "the cat sat .", "the old king made two red books", "a dog saw the city ."]
ROLES = {"anchor": torch.tensor([0, 2]), "positive": torch.tensor([1, 3])}
VARIANT: dict[str, Any] = {
    "data": [{"set": "corpus", "roles": {"anchor": "identity", "positive": "identity"}}],
    "objective": [{"term": "info_nce"}, {"term": "mlm", "weight": 0.5}],
}


@pytest.fixture(scope="module")
def pretrained(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with the head of masked language modelling."""
    folder = tmp_path_factory.mktemp("pretrained") / "encoder"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        BertForMaskedLM(AutoConfig.from_pretrained(tiny_encoder)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(folder)
    return folder


def model_of(folder: Path, *, cached: bool = False) -> ContrastiveModel:
    encoder = SentenceEncoder.load(folder, Encoder())
    variant = Composition.model_validate(VARIANT)
    head = load_language_head(folder)
    return ContrastiveModel(encoder, variant, 2, cached=cached, language_head=head).double().eval()


def test_chosen_tokens_are_hidden_changed_and_kept_by_their_shares() -> None:
    torch.manual_seed(0)
    special = torch.zeros(1000, dtype=torch.bool)
    special[:5] = True
    ids = torch.randint(5, 1000, (1000, 300))
    ids[:, 0], ids[:, -1] = 2, HIDDEN
    masked, chosen = mask_tokens(ids, Vocabulary(1000, special, 4), 0.15)
    assert torch.equal(masked[~chosen], ids[~chosen]) and not chosen[:, [0, -1]].any()
    told = masked[chosen]
    shares = [chosen[:, 1:-1].double().mean(), (told == 4).double().mean(), (told == ids[chosen]).double().mean()]
    np.testing.assert_allclose([float(share) for share in shares], [0.15, 0.8, 0.1], rtol=0, atol=0.006)


def test_the_loss_is_what_transformers_gives_for_padded_texts(
    pretrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(pretrained)
    batch = token_batch(model.encoder.tokenise(TEXTS), rows=2)
    drawn: list[tuple[torch.Tensor, torch.Tensor]] = []

    def noted(*given: Any) -> Any:
        drawn.append(mask_tokens(*given))
        return drawn[-1]

    monkeypatch.setattr(module, "mask_tokens", noted)
    torch.manual_seed(0)
    found = model(batch, ROLES)["mlm"].item()
    whole = BertForMaskedLM.from_pretrained(pretrained).double().eval()
    total, count = 0.0, 0
    for ids, (masked, chosen) in zip(batch["ids"], drawn, strict=True):
        labels = ids.where(chosen, -100)
        with torch.no_grad():
            loss = whole(
                input_ids=masked.clamp(min=0), attention_mask=(ids != HIDDEN).long(), labels=labels
            ).loss.item()
        if chosen.any():
            total, count = total + loss * int(chosen.sum()), count + int(chosen.sum())
    assert count > 1
    assert found == pytest.approx(0.5 * total / count, rel=1e-6)


def test_the_cached_gradient_is_the_plain_one(pretrained: Path) -> None:
    gradients = []
    for cached in (False, True):
        model = model_of(pretrained, cached=cached)
        torch.manual_seed(0)
        model(token_batch(model.encoder.tokenise(TEXTS), rows=2), ROLES)["mlm"].backward()
        gradients.append({name: each.grad for name, each in model.named_parameters() if each.grad is not None})
    assert any(name.startswith("language_head") for name in gradients[0])
    assert gradients[0].keys() == gradients[1].keys()
    for name, plain in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], plain, rtol=0, atol=1e-10)


def test_it_trains_beside_the_objective(pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_project(tmp_path / "project", pretrained, variants={"mine": VARIANT | {"description": "with MLM"}})
    monkeypatch.chdir(folder)
    told: dict[str, float] = {}
    settings = variant_settings(load_params(), "mine", {"sentences": 16, "evaluation_steps": 1, "precision": "fp32"})
    outcome = train(load_params(), settings, 0, Path("run"), lambda values, step: told.update(values))
    assert outcome.steps == 2
    assert told["train/loss"] == pytest.approx(told["train/info_nce"] + told["train/mlm"], rel=1e-5)


@pytest.mark.parametrize(
    "kind, sentence",
    [
        ("bert", "base holds no head of masked language modelling"),
        ("gpt2", "needs a BERT or RoBERTa as encoder.source, and .*base is a 'gpt2'"),
    ],
)
def test_a_base_without_the_head_is_refused(kind: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"objective term mlm: .*{sentence}"):
        load_language_head(checkpoint(kind, tmp_path / "base"))


def test_it_stands_beside_another_term() -> None:
    with pytest.raises(ValueError, match="mlm stands beside another term of the objective"):
        Composition.model_validate(VARIANT | {"objective": [{"term": "mlm"}]})
