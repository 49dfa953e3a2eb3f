import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import Server


@pytest.fixture(scope="session")
def _server(_empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(_empty_store, folder / "mlflow.db")
    server = Server(folder)
    yield server
    server.kill()


@pytest.fixture
def server(_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A running MLflow server, set as MLFLOW_TRACKING_URI; a test may kill it and start it again."""
    _server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _server.uri)
    return _server
