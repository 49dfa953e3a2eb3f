"""mteb's own runner, without the hub: its figure is ours, its results lie as it keeps them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import ConfigError
from components.evaluation.embed import encoder_of
from components.evaluation.evaluate import evaluate_model, load_model
from components.evaluation.mteb_runner import name_of, run_mteb
from tests.project import sentences

pytest.importorskip("mteb")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An STS task of one's own in data/sts, as the stage writes it."""
    monkeypatch.chdir(tmp_path)
    scores = np.random.default_rng(0).integers(0, 6, 60).astype(float)
    Path("data/sts").mkdir(parents=True)
    columns = {"first": sentences(60, 1), "second": sentences(60, 2), "score": scores}
    pq.write_table(pa.table(columns), "data/sts/mine.parquet")


@pytest.mark.usefixtures("mine")
def test_mteb_and_cseflow_give_one_score_and_the_results_are_mtebs(tiny_encoder: Path) -> None:
    ours = evaluate_model(encoder_of(load_model(str(tiny_encoder))), ["mine"], own=["mine"])["mine"]
    theirs = run_mteb(str(tiny_encoder), "cseflow/tiny", ["mine"], Path("out"), ["mine"])["mine"]
    assert theirs == pytest.approx(ours, abs=0.01)
    [result] = Path("out/results/cseflow__tiny").glob("*/mine.json")
    written = json.loads(result.read_text())
    assert written["scores"]["test"][0]["main_score"] == pytest.approx(ours / 100, abs=1e-4)
    assert json.loads(result.with_name("model_meta.json").read_text())["name"] == "cseflow/tiny"


def test_an_unknown_task_is_one_sentence(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--mteb: .*STSBenchmarkk") as raised:
        run_mteb(str(tiny_encoder), "cseflow/tiny", ["STSBenchmarkk"], tmp_path, ["mine"])
    assert "\n" not in str(raised.value) and str(raised.value).endswith("evaluation.tasks has mine")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("models:/cse-encoder@champion", "cseflow/cse-encoder"),
        ("models:/cse-encoder/3", "cseflow/cse-encoder"),
        ("runs/simcse-seed0-12ab/encoder", "cseflow/simcse-seed0-12ab"),
        ("mine/best", "cseflow/best"),
        ("sentence-transformers/LaBSE", "sentence-transformers/LaBSE"),
        ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_results_have_a_name(model: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/simcse-seed0-12ab/encoder", "mine/best"):
        Path(folder).mkdir(parents=True)
    assert name_of(model) == name
