"""make in a folder whose path has a space and an umlaut."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`…/my projects/Sätze und mehr`, beside a folder `…/my` of someone else's."""
    folder = tmp_path / "my projects/Sätze und mehr"
    folder.mkdir(parents=True)
    (tmp_path / "my").mkdir()
    (tmp_path / "my/precious").touch()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder)
    return folder


def make(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_clean_removes_its_own_and_no_neighbour(folder: Path, tmp_path: Path) -> None:
    for name in (".venv", "data", ".state", "answers"):
        (folder / name).mkdir()
    make(folder, "clean")
    assert sorted(path.name for path in folder.iterdir()) == [
        "Makefile",
        "answers",
        "constraints.txt",
        "pyproject.toml",
    ]
    assert (tmp_path / "my/precious").exists()


@pytest.mark.parametrize("target", ["run", "test", "up"])
def test_the_environment_is_made_once_and_inside(folder: Path, target: str) -> None:
    said = make(folder, "--dry-run", target)
    assert "python3 -m venv .venv" in said
    (folder / ".venv").mkdir()
    for stamp in ("run.stamp", "test.stamp"):
        (folder / ".venv" / stamp).touch()
    assert "venv" not in make(folder, "--dry-run", target)
