"""Bases of many architectures: trained, exported and read by plain sentence-transformers, or refused before a step."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sentence_transformers import SentenceTransformer

from components import paths
from components.augmentation.shards import make_view
from components.config import Params, load_params, variant_settings
from components.config.encoder import Lora
from components.config.evaluation import STSB_DEV
from components.errors import ConfigError
from components.evaluation.embed import encoder_of
from components.evaluation.sts import evaluate_sts
from components.evaluation.sts_data import load_sts
from components.training.run import TrainingSummary, train
from tests.encoder.architectures import DECODERS, ENCODERS, SEQUENCE_TO_SEQUENCE, checkpoint

pytestmark = pytest.mark.slow

Scores = list[float]
TWO_STEPS = {"batch_size": 8, "sentences": 16, "epochs": 1, "evaluation_steps": 1, "precision": "fp32"}
Base = Callable[..., Params]


@pytest.fixture
def base(_miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """Makes the miniature project anew upon a checkpoint of some architecture, with the view of kind identity alone."""

    def made(kind: str, *, encoder: dict[str, Any], **config: Any) -> Params:
        monkeypatch.chdir(tmp_path)
        for name in (paths.CORPUS, paths.STS, paths.TUPLES):
            shutil.copytree(_miniature / name, tmp_path / name)
        # No two sentences of a pair are one: rounding would order cosines of 1.
        dev = pq.read_table(paths.STS / f"{STSB_DEV}.parquet").to_pydict()
        dev["second"] = [text.removesuffix(" .") for text in dev["second"]]
        pq.write_table(pa.table(dev), paths.STS / f"{STSB_DEV}.parquet")
        checkpoint(kind, tmp_path / paths.SOURCES / encoder.get("source", "encoder"), **config)
        params = load_params(_miniature / "params.yaml")
        params = params.model_copy(update={"encoder": params.encoder.model_copy(update=encoder)})
        for split in ("train", "heldout"):
            make_view("identity", params, corpus=paths.CORPUS / f"{split}.parquet", views=paths.VIEWS / split)
        return params

    return made


def trained(params: Params, variant: str = "simcse", **overrides: Any) -> tuple[Scores, TrainingSummary]:
    scores: Scores = []

    def record(values: dict[str, float], step: int) -> None:
        if f"sts/{STSB_DEV}" in values:
            scores.append(values[f"sts/{STSB_DEV}"])

    settings = variant_settings(params, variant, TWO_STEPS | overrides)
    return scores, train(params, settings, 0, Path("run"), record)


def score(encoder: SentenceTransformer) -> float:
    """What its users measure on STS-B dev, ×100."""
    return evaluate_sts(encoder_of(encoder), {STSB_DEV: load_sts(STSB_DEV)}).scores[STSB_DEV]


@pytest.fixture
def champion(mlflow_store: str) -> Callable[[], SentenceTransformer]:
    """Registers runs/encoder as champion, and gives what MLflow's own loader makes of the alias."""

    def loaded() -> SentenceTransformer:
        import mlflow
        from mlflow import MlflowClient

        from components.tracking.encoder_model import log_encoder
        from components.tracking.registry import promote

        client = MlflowClient()
        run_id = client.create_run(client.create_experiment("own", artifact_location="artifacts")).info.run_id
        log_encoder(client, run_id, Path("run/encoder"))
        promote("cse-encoder", run_id, report_markdown="")
        return mlflow.sentence_transformers.load_model("models:/cse-encoder@champion")

    return loaded


@pytest.mark.parametrize(
    ("kind", "pooling", "lora"),
    [
        *((kind, "mean", None) for kind in [*ENCODERS, *SEQUENCE_TO_SEQUENCE, "llama"]),
        *((kind, "last", None) for kind in DECODERS),
        pytest.param("qwen2", "last", Lora(dropout=0.1), id="qwen2-lora-merged"),
        pytest.param("bert", "mean", Lora(dropout=0.1, merge=False), id="bert-lora-apart"),
    ],
)
def test_the_exported_encoder_and_the_champion_give_the_logged_score(
    base: Base, champion: Callable[[], SentenceTransformer], kind: str, pooling: str, lora: Lora | None
) -> None:
    params = base(kind, encoder={"pooling": pooling, "head": "training", "lora": lora})
    scores, outcome = trained(params, learning_rate=1e-2)
    assert (outcome.steps, outcome.dev_score) == (2, scores[outcome.best_step])
    for encoder in (SentenceTransformer("run/encoder", device="cpu"), champion()):
        assert score(encoder) == pytest.approx(outcome.dev_score, abs=0.01)


def test_a_base_without_dropout_is_refused_where_pairs_need_it(base: Base) -> None:
    params = base("bert", encoder={}, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    with pytest.raises(ConfigError, match=r"encoder.dropout: 'encoder' drops nothing out, .* 'identity' with itself"):
        trained(params)


def test_a_rate_cures_a_base_without_dropout(base: Base) -> None:
    params = base("bert", encoder={"dropout": 0.1}, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    assert trained(params)[1].steps == 2


def test_a_base_without_dropout_is_measured_as_it_is(base: Base) -> None:
    params = base("bert", encoder={}, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    assert trained(params, "untrained")[1].steps == 0


def test_a_pooling_that_sees_nothing_is_refused(base: Base) -> None:
    with pytest.raises(ConfigError, match=r"encoder.pooling: cls gives every text one vector"):
        trained(base("llama", encoder={"pooling": "cls"}))


def test_views_of_another_tokenizer_are_refused(base: Base, tiny_encoder: Path) -> None:
    params = base("bert", encoder={"source": "other"})  # the views are made for it, and it is then exchanged
    shutil.rmtree(paths.SOURCES / "other")
    shutil.copytree(tiny_encoder, paths.SOURCES / "other")
    with pytest.raises(ConfigError, match=r"encoder.source: the tokens of data/views are not those of 'other'"):
        trained(params)


def test_texts_beyond_the_positions_are_cut_and_told(base: Base, caplog: pytest.LogCaptureFixture) -> None:
    params = base("roberta", encoder={"max_length": 8}, max_position_embeddings=10)
    with caplog.at_level(logging.WARNING, "components.training.inspection"):
        assert trained(params)[1].steps == 2
    assert "they are cut to the 8 that 'encoder' takes (lower augmentation.max_length to avoid it)" in caplog.text
