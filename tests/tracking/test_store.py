import time
from pathlib import Path

import pytest
from server import free_port
from sqlalchemy import Engine

from components.errors import CseflowError
from components.tracking.delivery import deliver
from components.tracking.journal import Journal
from components.tracking.store import connect, experiment_id, tracking_uri


def test_the_default_store_is_a_file_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_run_leaves_data_base_and_artifacts_and_nothing_else(
    mlflow_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with Journal("runs/a") as journal:
        journal.start("a", "test")
        journal.artifact("a.txt")
    deliver("runs/a")
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "mlartifacts", "mlflow.db", "runs"}


def test_a_store_that_was_killed_in_the_making_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.db import utils

    def killed(engine: Engine) -> None:
        with engine.begin() as connection:  # what a migration leaves when it is cut off in the middle
            connection.exec_driver_sql("CREATE TABLE _alembic_tmp_metrics (key TEXT)")
        raise KeyboardInterrupt

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(utils, "_upgrade_db", killed)
        connect()
    assert experiment_id(connect(), "test") and not list(tmp_path.glob("*.tmp"))


def test_a_dead_server_is_found_out_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = time.perf_counter()
    with pytest.raises(CseflowError, match=f"no MLflow server answers at {uri}: start it"):
        connect()
    assert time.perf_counter() - before < 10


def test_a_store_that_cannot_be_opened_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow.db").write_text("no data base " * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(CseflowError, match=r"MLflow at sqlite:.*could not"):
        connect()
