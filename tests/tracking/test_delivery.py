import json
import logging
import shutil
import socket
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from server import Server, free_port, until
from slow import SlowProxy

from components.errors import CseflowError, DataError
from components.tracking import store
from components.tracking.delivery import Delivery, deliver, pending
from components.tracking.journal import DELIVERY, DatasetVersion, Journal
from components.tracking.registry import champion, local_copy, promote
from components.tracking.store import connect


@pytest.fixture
def dead_server(monkeypatch: pytest.MonkeyPatch) -> str:
    uri = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


def recorded(folder: Path, steps: int = 3, **start: Any) -> Path:
    with Journal(folder) as journal:
        journal.start(folder.name, "test", **start)
        for step in range(steps):
            journal.metrics({"loss": 1 / (step + 1)}, step)
        journal.finish()
    return folder


def steps_of(run_id: str, key: str = "loss") -> Counter[int]:
    return Counter(point.step for point in connect().get_metric_history(run_id, key))


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_server_that_dies_in_the_middle_costs_neither_training_nor_results(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "runs" / "a"
    slowest = 0.0
    with Journal(folder) as journal:
        journal.start("a", "test")
        with Delivery(folder) as delivery:
            for step in range(50):
                journal.metrics({"loss": 1 / (step + 1)}, step)
            until(lambda: delivery.result.sent == 51)
            server.kill()
            for step in range(50, 100):
                before = time.perf_counter()
                journal.metrics({"loss": 1 / (step + 1)}, step)
                slowest = max(slowest, time.perf_counter() - before)
            until(lambda: bool(warnings_in(caplog)))
            journal.finish()
            left = time.perf_counter()
    result = delivery.result
    assert slowest < 0.5 and time.perf_counter() - left < 20
    assert (result.sent, result.kept, pending(tmp_path / "runs")) == (51, 51, [folder])
    assert len([line for line in warnings_in(caplog) if "does not take records" in line]) == 1

    server.start()
    later = deliver(folder)
    assert later.run_id == result.run_id and later.complete and pending(tmp_path / "runs") == []
    assert steps_of(later.run_id) == Counter(range(100))
    assert connect().get_run(later.run_id).info.status == "FINISHED"


def test_an_encoder_goes_through_a_server_and_back(server: Server, tiny_encoder: Path, tmp_path: Path) -> None:
    with Journal(tmp_path / "a") as journal:
        journal.start("a", "test", params={"seed": 0})
        journal.metrics({"sts/STSB": 82.0}, 1)
        (tmp_path / "predictions.parquet").touch()
        journal.artifact(tmp_path / "predictions.parquet", "scores")
        journal.model(tiny_encoder)
    run_id = str(deliver(tmp_path / "a").run_id)
    promoted = promote("cse-encoder", run_id, report_markdown="")
    experiment = connect().get_run(run_id).info.experiment_id
    (found,) = connect().search_logged_models([experiment], "metrics.`sts/STSB` > 80")
    assert found.source_run_id == run_id and found.params == {"seed": "0"}
    copy = local_copy("models:/cse-encoder@champion", tmp_path / "copy")
    assert champion("cse-encoder") == promoted
    assert (copy / "model.safetensors").read_bytes() == (tiny_encoder / "model.safetensors").read_bytes()


def test_the_first_and_the_last_moment_of_a_loss_are_said_once(
    dead_server: str,
    mlflow_store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead_server)
    folder = recorded(tmp_path / "runs" / "a")
    with Delivery(folder) as delivery:
        until(lambda: bool(warnings_in(caplog)))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store)
    lost, back = warnings_in(caplog)
    assert "does not take records" in lost and "answers again" in back and delivery.result.complete


def test_a_server_that_accepts_and_never_answers_does_not_hold_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "PROBE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        before = time.perf_counter()
        with Delivery(recorded(tmp_path / "runs" / "a")) as delivery:
            pass
        assert time.perf_counter() - before < 15
    assert delivery.result.kept == 5 and delivery.result.run_id is None


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> int:
    """Seconds that a silent server is waited for."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    return 10


def with_a_large_file(folder: Path) -> Path:
    """Three times what the kernel takes from a sender whom nobody reads."""
    with Journal(folder) as journal:
        journal.start(folder.name, "test")
        (folder / "weights").write_bytes(bytes(12 << 20))
        journal.artifact(folder / "weights")
        journal.finish()
    return folder


def test_an_upload_that_moves_has_no_deadline(
    server: Server, impatient: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SlowProxy(server.port, rate=800_000) as slow:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", slow.uri)
        before = time.perf_counter()
        with Delivery(with_a_large_file(tmp_path / "runs" / "a")) as delivery:
            pass
        assert delivery.result.complete and time.perf_counter() - before > impatient


def test_an_upload_that_stands_still_is_given_up_and_kept(
    server: Server, impatient: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SlowProxy(server.port, rate=1e9, limit=500_000) as stuck:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", stuck.uri)
        before = time.perf_counter()
        with Delivery(with_a_large_file(tmp_path / "runs" / "a")) as delivery:
            pass
        assert delivery.result.kept == 2 and time.perf_counter() - before < 60
        stuck.limit = float("inf")
        assert deliver(tmp_path / "runs" / "a").complete


def test_a_run_that_is_interrupted_does_not_wait_for_an_upload(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SlowProxy(server.port, rate=400_000) as slow:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", slow.uri)
        with pytest.raises(KeyboardInterrupt), Delivery(with_a_large_file(tmp_path / "runs" / "a")) as delivery:
            until(lambda: delivery.run_id is not None)
            before = time.perf_counter()
            raise KeyboardInterrupt
        assert time.perf_counter() - before < 10 and not delivery.result.complete


def test_a_locked_data_base_is_waited_for(mlflow_store: str, tmp_path: Path) -> None:
    connect()
    with closing(sqlite3.connect(tmp_path / "mlflow.db", check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(7, other.rollback)  # longer than SQLite's own 5 seconds
        release.start()
        assert deliver(recorded(tmp_path / "runs" / "a")).complete
        release.join()


def test_later_delivery_to_a_dead_server_says_what_to_do(dead_server: str, tmp_path: Path) -> None:
    with pytest.raises(CseflowError, match=f"no MLflow server answers at {dead_server}: start it, or unset"):
        deliver(recorded(tmp_path / "a"))


def test_delivery_of_a_folder_without_journal_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name the folder of a run"):
        deliver(tmp_path)


def test_sending_again_after_a_crash_doubles_nothing(mlflow_store: str, tiny_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    with Journal(folder) as journal:
        journal.start("a", "test", datasets=[DatasetVersion("corpus", "0" * 32, "data/corpus")])
        journal.metrics({"loss": 1.0, "sts/STSB": 80.0}, 1)
        journal.model(tiny_encoder)
        journal.finish()
    first = deliver(folder).run_id
    (folder / DELIVERY).unlink()  # as if killed before the first note
    second = deliver(folder).run_id
    client = connect()
    run = client.get_run(first)
    assert second == first and len(client.search_runs([run.info.experiment_id])) == 1
    assert steps_of(first) == Counter([1])
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert [metric.key for metric in model.metrics] == ["sts/STSB"] and steps_of(first, "sts/STSB") == Counter([1])
    assert len(run.outputs.model_outputs) == 1 and len(run.inputs.dataset_inputs) == 1


def test_a_run_deleted_in_mlflow_is_made_anew(mlflow_store: str, tmp_path: Path) -> None:
    folder = recorded(tmp_path / "a")
    first = deliver(folder).run_id
    connect().delete_run(first)
    second = deliver(folder).run_id
    assert second != first and steps_of(second) == Counter(range(3))


def test_another_store_gets_the_whole_journal(
    mlflow_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "other" / "mlflow.db")
    folder = recorded(tmp_path / "a")
    deliver(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other' / 'mlflow.db'}")
    assert steps_of(str(deliver(folder).run_id)) == Counter(range(3))


def test_a_deleted_experiment_is_one_clear_sentence(mlflow_store: str, tmp_path: Path) -> None:
    folder = recorded(tmp_path / "a")
    deliver(folder)
    connect().delete_experiment(connect().get_experiment_by_name("test").experiment_id)
    with pytest.raises(CseflowError, match="was deleted: restore it"):
        deliver(folder)


def test_a_child_brings_its_parent_along(mlflow_store: str, tmp_path: Path) -> None:
    parent, child = tmp_path / "parent", tmp_path / "child"
    with Journal(parent) as journal:
        journal.start("experiment", "test")
    run_id = deliver(recorded(child, parent=parent)).run_id
    assert connect().get_run(run_id).data.tags["mlflow.parentRunId"] == deliver(parent).run_id


def test_many_parameters_and_long_values_fit(mlflow_store: str, tmp_path: Path) -> None:
    params = {f"p{index}": index for index in range(620)} | {"long": "x" * 9000}
    run_id = deliver(recorded(tmp_path / "a", params=params)).run_id
    logged = connect().get_run(run_id).data.params
    assert len(logged) == 621 and len(logged["long"]) == 6000


def test_what_mlflow_refuses_is_left_out_and_said(
    mlflow_store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(tmp_path / "a") as journal:
        journal.start("a", "test")
        journal.metrics({"loss": 1.0}, 1)
        journal.metrics({"a*b": 1.0}, 2)
        journal.metrics({"loss": 0.5}, 3)
        journal.artifact(tmp_path / "gone.json")
        journal.finish()
    result = deliver(tmp_path / "a")
    assert (result.sent, result.refused, result.kept) == (6, 2, 0)
    assert steps_of(result.run_id) == Counter([1, 3]) and len(warnings_in(caplog)) == 2


def test_two_hundred_points_take_under_two_seconds(mlflow_store: str, tmp_path: Path) -> None:
    connect()
    folder = recorded(tmp_path / "a", steps=200)
    before = time.perf_counter()
    run_id = deliver(folder).run_id
    assert time.perf_counter() - before < 2 and steps_of(run_id) == Counter(range(200))


def test_the_inputs_name_each_data_set_and_its_version(mlflow_store: str, tmp_path: Path) -> None:
    version = DatasetVersion("sts", "f" * 32 + ".dir", "data/sts", "evaluation")
    run_id = deliver(recorded(tmp_path / "a", datasets=[version])).run_id
    (logged,) = connect().get_run(run_id).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("sts", "f" * 32 + ".dir")
    assert json.loads(logged.dataset.source) == {"uri": "data/sts"}
    assert [(tag.key, tag.value) for tag in logged.tags] == [("mlflow.data.context", "evaluation")]


def test_artifacts_lie_beside_the_data_base(mlflow_store: str, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text("{}")
    with Journal(tmp_path / "a") as journal:
        journal.start("a", "test")
        journal.artifact(tmp_path / "scores.json", "scores")
    run_id = deliver(tmp_path / "a").run_id
    assert (tmp_path / "mlartifacts" / str(run_id) / "artifacts" / "scores" / "scores.json").is_file()
