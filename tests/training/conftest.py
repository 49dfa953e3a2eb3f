"""A miniature project that tests read and do not change; what they train goes to tmp_path."""

from pathlib import Path

import pytest

from tests.project import make_project


@pytest.fixture(scope="session")
def _miniature(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    return make_project(tmp_path_factory.mktemp("miniature") / "project", tiny_encoder)


@pytest.fixture
def miniature(_miniature: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shared project, as the working folder."""
    monkeypatch.chdir(_miniature)
    return _miniature
