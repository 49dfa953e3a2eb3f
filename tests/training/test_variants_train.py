"""Every variant of params.yaml trains, and a new one takes an entry there and nothing else."""

import math
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import SentenceTransformer

from components.config import load_params, variant_settings
from components.config.evaluation import metric_names
from components.training.model import ContrastiveModel
from components.training.run import TrainingSummary, train
from tests.project import REPOSITORY, make_project

pytestmark = pytest.mark.slow

VARIANTS = load_params(REPOSITORY / "params.yaml").variants
# Two steps, with room for the rows of tuples that the variants ask for.
TWO_STEPS = {"batch_size": 24, "sentences": 48, "epochs": 1, "evaluation_steps": 1, "precision": "fp32"}


def two_steps(variant: str, folder: Path) -> tuple[dict[str, list[float]], TrainingSummary]:
    curves: dict[str, list[float]] = {}

    def record(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            curves.setdefault(name, []).append(value)

    params = load_params()
    overrides: dict[str, Any] = dict(TWO_STEPS)
    if any(part.rows is None and part.set == "corpus" for part in params.variants[variant].data):
        rows = sum(part.rows or 0 for part in params.variants[variant].data)
        overrides["sentences"] = 2 * (overrides["batch_size"] - rows)
    return curves, train(params, variant_settings(params, variant, overrides), 0, folder, record)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_with_finite_figures(miniature: Path, tmp_path: Path, name: str) -> None:
    curves, outcome = two_steps(name, tmp_path / "run")
    terms = {f"train/{term.term}" for term in VARIANTS[name].objective}
    assert outcome.steps == (2 if terms else 0)
    assert terms <= curves.keys()
    sets = {part.set for part in VARIANTS[name].data} or {"corpus"}
    names = metric_names(load_params().evaluation, [term.term for term in VARIANTS[name].objective], sets)
    assert curves.keys() <= set(names)
    assert all(math.isfinite(value) for values in curves.values() for value in values)


def test_a_new_variant_needs_params_yaml_alone(
    tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = {"near": "span_mask_near", "far": "span_mask_far"}
    levels = {"levels": ["positive", "intermediate", "negative"]}
    mixture = {
        "description": "a mixture that only this test knows",
        "data": [
            {"set": "corpus", "roles": {"anchor": "token_cutoff", "positive": "word_repetition"} | masks},
            {"set": "tuples/nli", "rows": 4, "roles": {name: name for name in ("anchor", "positive", "negative")}},
            {"set": "tuples/sts", "rows": 4, "roles": {"anchor": "anchor", "positive": "positive"} | levels},
        ],
        "objective": [
            {"term": "arccon", "temperature": 0.1, "margin_degrees": 5.0},
            {"term": "info_nce", "temperature": 0.1, "weight": 0.5},
            {"term": "entailment_triplet", "margin": 0.01},
            {"term": "hierarchical_triplet", "margins": [0.01, 0.02]},
        ],
        "momentum": {"decay": 0.9, "queue": 1.5},
        "encoder": {"pooling": "prompt_mask", "head": "training", "templates": ["this [X] is [MASK]", "a [X] [MASK]"]},
    }
    monkeypatch.chdir(make_project(tmp_path / "project", tiny_encoder, variants={"mine": mixture}))
    curves, outcome = two_steps("mine", tmp_path / "run")
    assert outcome.steps == 2
    assert all(
        math.isfinite(value)
        for term in ("arccon", "info_nce", "entailment_triplet", "hierarchical_triplet")
        for value in curves[f"train/{term}"]
    )
    exported = SentenceTransformer(str(tmp_path / "run" / "encoder"), device="cpu")
    assert exported.encode(["the old dog"]).shape == (1, 32)


def test_the_momentum_encoder_follows_after_every_step(
    miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = ContrastiveModel.follow
    ahead: list[bool] = []

    def watched(model: ContrastiveModel) -> None:
        assert model.momentum is not None
        pairs = zip(model.encoder.parameters(), model.momentum.encoder.parameters(), strict=True)
        ahead.append(any(not new.equal(old) for new, old in pairs))
        follow(model)

    monkeypatch.setattr(ContrastiveModel, "follow", watched)
    two_steps("esimcse", tmp_path / "run")
    assert ahead == [True, True]
