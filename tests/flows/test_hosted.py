"""When a worker tries again, and which data it refuses."""

import shutil
from pathlib import Path

import pytest
from prefect.states import Failed

from components.errors import ConfigError, DataError, UnreachableError
from components.tracking.lineage import data_version
from flows import orchestration
from flows.hosted import require_data, require_data_version
from flows.orchestration import retry_can_help
from tests.flows.test_steps import DVC, sh
from tests.project import REPOSITORY

DEPLOYED = "PREFECT__RUNTIME__DEPLOYMENT__ID"  # Prefect's own way to set runtime.deployment.id in a test


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (UnreachableError("no MLflow server answers"), True),
        (ConnectionResetError("by peer"), True),
        (ConfigError("no variant named 'simsce'"), False),
        (DataError("the corpus has not passed its suite"), False),
        (ValueError("a bug"), False),
    ],
)
def test_a_worker_tries_again_what_the_network_spoilt(
    error: Exception, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEPLOYED, "1")
    monkeypatch.setattr(orchestration, "tracked", lambda: True)
    assert retry_can_help(None, None, Failed(data=error)) is again


def test_in_a_terminal_nothing_is_tried_again() -> None:
    assert not retry_can_help(None, None, Failed(data=UnreachableError("no MLflow server answers")))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one data set, made by DVC."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "dvc.yaml").write_text(
        "stages:\n  one:\n    cmd: mkdir -p data && echo a sentence > data/one\n    outs: [data/one]\n"
    )
    sh(folder, *DVC, "init", "-q", "--no-scm")
    sh(folder, *DVC, "repro", "-q")
    return folder


@pytest.fixture
def host(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working folder."""
    shutil.copytree(made, tmp_path / "host")
    monkeypatch.chdir(tmp_path / "host")
    return tmp_path / "host"


def test_data_that_were_asked_for_pass(host: Path) -> None:
    require_data_version(data_version())
    require_data(["data/one"])


def test_another_version_is_refused(host: Path) -> None:
    with pytest.raises(DataError, match=f"asked for is {'0' * 32}, but .* has {data_version()}"):
        require_data_version("0" * 32)


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("another sentence\n")])
def test_data_unlike_their_lock_are_refused(host: Path, harm: object) -> None:
    path = host / "data/one"
    path.chmod(0o644)
    harm(path)  # type: ignore[operator]
    with pytest.raises(DataError, match=r"data/one in .* differ from dvc.lock"):
        require_data(["data/one"])


def test_harm_to_what_is_not_needed_is_no_matter(host: Path) -> None:
    (host / "data/one").unlink()
    require_data([])


def test_the_repository_has_a_data_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert len(data_version()) == 32
