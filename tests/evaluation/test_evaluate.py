"""`cseflow evaluate`, with a tiny model on tiny data."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.errors import ConfigError, CseflowError, DataError
from components.evaluation.evaluate import evaluate_model, find_tasks, run
from components.evaluation.transfer import evaluate_transfer
from tests.evaluation.toys import hashed


@pytest.fixture
def senteval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """STS12 and CR, with few folds; the working folder holds no data/sts."""
    monkeypatch.setattr("components.evaluation.transfer.FOLDS", 3)
    monkeypatch.chdir(tmp_path)
    sts, reviews = tmp_path / "senteval" / "STS" / "STS12-en-test", tmp_path / "senteval" / "CR"
    sts.mkdir(parents=True)
    reviews.mkdir()
    (sts / "STS.input.MSRvid.txt").write_text("".join(f"a man {k}\tthe man {k * k}\n" for k in range(9)))
    (sts / "STS.gs.MSRvid.txt").write_text("".join(f"{k % 5}\n" for k in range(9)))
    for name in ("custrev.pos", "custrev.neg"):
        (reviews / name).write_text("".join(f"{name} {k}\n" for k in range(24)))
    return tmp_path / "senteval"


def test_all_tasks_that_are_found_are_scored(senteval: Path) -> None:
    scores = evaluate_model(hashed, None, senteval)
    assert list(scores) == ["STS12", "avg", "CR", "transfer_avg"] and scores["avg"] == scores["STS12"]


def test_what_is_asked_for_and_absent_says_where_it_was_looked_for(senteval: Path) -> None:
    with pytest.raises(DataError, match=r"no data for STS13; looked in .*senteval .* and data/sts"):
        evaluate_model(hashed, ["STS12", "STS13"], senteval)


def test_transfer_tasks_are_scored_by_the_classifier_that_is_asked_for(senteval: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(48, 6)).astype(np.float32)
    scores = evaluate_model(lambda texts: noise[: len(texts)], ["CR"], senteval, classifier="sklearn")
    assert scores == evaluate_transfer(lambda texts: noise[: len(texts)], {"CR": senteval}, classifier="sklearn")


def test_tasks_of_ones_own_are_found_in_the_data_of_the_stage(senteval: Path) -> None:
    Path("data/sts").mkdir(parents=True)
    for name in ("mine", "mine-dev"):
        Path(f"data/sts/{name}.parquet").touch()
    assert list(find_tasks(None, senteval, own=["mine"])) == ["STS12", "mine", "CR"]
    with pytest.raises(ConfigError, match=r"no task named 'mien' \(did you mean 'mine'\?\)"):
        find_tasks(["mien"], senteval, own=["mine"])


def test_an_unknown_task_is_corrected(senteval: Path) -> None:
    with pytest.raises(ConfigError, match=r"no task named 'sts12'.*'STS12'"):
        find_tasks(["sts12"], senteval)


def test_the_model_is_scored_by_its_own_encode_and_written_as_json(
    tiny_encoder: Path, senteval: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = run(str(tiny_encoder), ["STS12"], senteval, senteval / "out" / "scores.json")
    assert json.loads((senteval / "out" / "scores.json").read_text()) == scores
    assert f"{scores['STS12']:.2f}" in capsys.readouterr().out


def test_a_model_that_is_not_there_is_one_sentence(senteval: Path) -> None:
    with pytest.raises(CseflowError, match=r"\./nothing is no folder"):
        run("./nothing", None, senteval)
