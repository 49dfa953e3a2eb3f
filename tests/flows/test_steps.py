"""What a worker's host does before a run: code by git or in place, data by DVC."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows import steps

pytestmark = pytest.mark.slow


def sh(folder: Path, *command: str) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
    }
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=os.environ | identity)


DVC = (sys.executable, "-m", "dvc")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one data set, which a DVC remote beside it has."""
    folder = tmp_path_factory.mktemp("origin")
    repository = folder / "repository"
    repository.mkdir()
    sh(repository, "git", "init", "-q", "-b", "main")
    sh(repository, *DVC, "init", "-q")
    (repository / "data.txt").write_text("a sentence\n")
    sh(repository, *DVC, "add", "-q", "data.txt")
    sh(repository, *DVC, "remote", "add", "--local", "-d", "there", str(folder / "remote"))
    sh(repository, *DVC, "push", "-q")
    sh(repository, "git", "add", "-A")
    sh(repository, "git", "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a worker starts a run in, on a host without any setting."""
    for name in list(os.environ):
        if name.startswith("CSEFLOW_"):
            monkeypatch.delenv(name)
    (tmp_path / "workspace").mkdir()
    monkeypatch.chdir(tmp_path / "workspace")
    return tmp_path / "workspace"


def test_without_settings_a_run_works_where_it_was_deployed_from(workspace: Path, tmp_path: Path) -> None:
    assert steps.code(str(tmp_path)) == {"directory": str(tmp_path)} and Path.cwd() == tmp_path


def test_a_host_can_name_its_own_folder(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSEFLOW_DIRECTORY", str(tmp_path))
    assert steps.code("/elsewhere") == {"directory": str(tmp_path)}


def test_a_host_can_clone_code_and_pull_data(
    workspace: Path, origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSEFLOW_REPOSITORY", f"file://{origin}/repository")
    monkeypatch.setenv("CSEFLOW_REVISION", "main")
    monkeypatch.setenv("CSEFLOW_SHARED", str(tmp_path / "shared"))
    monkeypatch.setenv("CSEFLOW_DVC_REMOTE", str(origin / "remote"))
    clone = Path(steps.code("/elsewhere")["directory"])
    steps.data()
    assert clone.is_relative_to(workspace) and (clone / "data.txt").read_text() == "a sentence\n"
    (clone / "runs/mine").mkdir()
    assert (tmp_path / "shared/runs/mine").is_dir()  # outlives the clone
    assert any((tmp_path / "shared/dvc").rglob("*"))


def test_without_a_remote_nothing_is_pulled(workspace: Path) -> None:
    steps.data()
    assert not any(workspace.iterdir())


def test_a_remote_that_does_not_answer_is_left_alone(
    workspace: Path, origin: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sh(workspace, "git", "clone", "-q", str(origin / "repository"), ".")
    monkeypatch.setenv("CSEFLOW_DVC_REMOTE", str(workspace / "nowhere"))
    monkeypatch.setattr(steps, "PAUSE", 0.0)
    steps.data()
    assert "dvc pull failed" in caplog.text
