import json
from pathlib import Path

import numpy as np
import pytest

from components.errors import CseflowError
from components.evaluation.predictions import save_predictions
from components.tracking import tags
from components.tracking.delivery import deliver
from components.tracking.journal import Journal
from components.tracking.runs import BEST_STEP, find_finished, finished_runs, load_result, log_report, run_url
from components.tracking.store import connect

GOLD = {"STSB": np.array([0.0, 2.5, 5.0])}
COSINES = {"STSB": np.array([0.1, 0.2, 0.9])}
PATTERNS = {"STSB": {"edges": [0, 1], "positive": [3]}}


def finished(folder: Path, fingerprint: str = "f", seed: int = 0, parent: Path | None = None) -> str:
    """Deliver a whole run; its id."""
    own = {tags.VARIANT: "simcse", tags.SEED: str(seed), tags.FINGERPRINT: fingerprint}
    folder.mkdir(parents=True)
    save_predictions(folder / "predictions.parquet", GOLD, COSINES)
    (folder / "patterns.json").write_text(json.dumps(PATTERNS))
    with Journal(folder) as journal:
        journal.start("a", "test", tags=own | tags.validation_tags({"corpus": True, "sts": False}), parent=parent)
        for step, loss in enumerate([1.0, 0.5, 0.25]):
            journal.metrics({"train/loss": loss}, step)
        journal.metrics({"sts/STSB": 82.03}, 2)
        journal.artifact(folder / "predictions.parquet", "scores")
        journal.artifact(folder / "patterns.json", "scores")
        journal.finish()
    return str(deliver(folder).run_id)


def test_a_result_comes_back_whole(mlflow_store: str, tmp_path: Path) -> None:
    run_id = finished(tmp_path / "a", seed=7)
    result = load_result(run_id)
    assert (result.variant, result.seed, result.run_id) == ("simcse", 7, run_id)
    assert result.metrics == {"train/loss": 0.25, "sts/STSB": 82.03}
    assert result.curves == {"train/loss": [(0, 1.0), (1, 0.5), (2, 0.25)], "sts/STSB": [(2, 82.03)]}
    assert (result.patterns, result.validations) == (PATTERNS, {"corpus": True, "sts": False})
    np.testing.assert_array_equal(result.gold["STSB"], GOLD["STSB"])
    np.testing.assert_array_equal(result.cosines["STSB"], COSINES["STSB"])


def test_a_finished_run_is_read_once_until_it_changes(mlflow_store: str, tmp_path: Path) -> None:
    run_id = finished(tmp_path / "a")
    first = load_result(run_id)
    assert load_result(run_id) is first
    connect().set_tag(run_id, tags.VARIANT, "renamed")
    assert load_result(run_id).variant == "renamed"


def test_a_finished_run_is_found_by_its_fingerprint(mlflow_store: str, tmp_path: Path) -> None:
    run_id = finished(tmp_path / "a", "one")
    assert (find_finished("test", "one"), find_finished("test", "two")) == (run_id, None)


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_an_unfinished_run_is_not_found(mlflow_store: str, tmp_path: Path, status: str) -> None:
    run_id = finished(tmp_path / "a")
    connect().set_terminated(run_id, status)
    assert find_finished("test", "f") is None


def test_an_unknown_experiment_has_no_finished_run(mlflow_store: str) -> None:
    assert find_finished("nothing", "f") is None


def test_a_deleted_experiment_is_found_out_before_anything_is_trained(mlflow_store: str, tmp_path: Path) -> None:
    finished(tmp_path / "a")
    connect().delete_experiment(connect().get_experiment_by_name("test").experiment_id)
    with pytest.raises(CseflowError, match="experiment 'test' was deleted: restore it"):
        find_finished("test", "f")


def test_dev_and_geometry_are_those_of_the_exported_step(mlflow_store: str, tmp_path: Path) -> None:
    with Journal(tmp_path / "a") as journal:
        journal.start("a", "test")
        for step, dev in ((0, 86.0), (20, 88.0), (40, 87.0)):
            journal.metrics({"sts/STSB-dev": dev, "geometry/heldout/alignment": step / 100}, step)
        journal.metrics({"sts/STSB": 82.0, BEST_STEP: 20}, 40)
        journal.finish()
    metrics = load_result(str(deliver(tmp_path / "a").run_id)).metrics
    assert (metrics["sts/STSB-dev"], metrics["geometry/heldout/alignment"], metrics["sts/STSB"]) == (88.0, 0.2, 82.0)


def test_an_unknown_run_is_one_clear_sentence(mlflow_store: str) -> None:
    with pytest.raises(CseflowError, match="could not do it: Run with id"):
        load_result("0" * 32)


def test_the_report_lies_in_the_run(mlflow_store: str, tmp_path: Path) -> None:
    run_id = finished(tmp_path / "a")
    (tmp_path / "report" / "plots").mkdir(parents=True)
    (tmp_path / "report" / "plots" / "rfd.png").write_bytes(b"png")
    log_report(run_id, tmp_path / "report")
    assert [entry.path for entry in connect().list_artifacts(run_id, "report/plots")] == ["report/plots/rfd.png"]


def test_a_run_in_a_file_has_no_page(mlflow_store: str, tmp_path: Path) -> None:
    assert run_url(finished(tmp_path / "a")) is None


def test_runs_are_named_by_id_by_folder_or_by_their_experiment(mlflow_store: str, tmp_path: Path) -> None:
    with Journal(tmp_path / "parent") as journal:
        journal.start("an experiment", "test", tags={tags.KIND: "experiment"})
        journal.finish()
    parent = str(deliver(tmp_path / "parent").run_id)
    first = finished(tmp_path / "a", parent=tmp_path / "parent")
    second = finished(tmp_path / "b", parent=tmp_path / "parent")
    assert finished_runs([second, str(tmp_path / "a")]) == [second, first]
    assert finished_runs([parent]) == [first, second]


def test_what_is_no_finished_run_is_named(mlflow_store: str, tmp_path: Path) -> None:
    with Journal(tmp_path / "going") as journal:
        journal.start("going on", "test")
    going = str(deliver(tmp_path / "going").run_id)
    for name, said in (
        ("0" * 32, "MLflow has no run '0+': name runs by"),
        (str(tmp_path), "is no run that MLflow has"),
        (going, "is RUNNING, not FINISHED"),
    ):
        with pytest.raises(CseflowError, match=said):
            finished_runs([name])
