"""What is there and whole is not fetched again; what params.yaml no longer names goes."""

import hashlib
from pathlib import Path

import pytest

from components.config import load_params
from components.config.sources import Source
from components.sources import __main__ as stage
from components.sources import resolve
from tests.project import REPOSITORY


@pytest.fixture
def given(tmp_path: Path) -> Source:
    (tmp_path / "given.txt").write_text("content")
    return Source(uri=f"file://{tmp_path}/given.txt", sha256=hashlib.sha256(b"content").hexdigest())


def test_what_is_verified_is_not_fetched_again(given: Source, tmp_path: Path) -> None:
    path = resolve(given, tmp_path / "out")
    (tmp_path / "given.txt").unlink()
    assert resolve(given, tmp_path / "out") == path


def test_what_was_changed_on_disk_is_fetched_again(given: Source, tmp_path: Path) -> None:
    path = resolve(given, tmp_path / "out")
    path.write_text("conten")
    assert resolve(given, tmp_path / "out").read_text() == "content"


def test_a_folder_without_a_record_is_not_trusted(given: Source, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/given.txt").write_text("con")
    assert resolve(given, tmp_path / "out").read_text() == "content"


def test_a_changed_uri_is_fetched_anew(given: Source, tmp_path: Path) -> None:
    resolve(given, tmp_path / "out")
    (tmp_path / "other.txt").write_text("content")
    resolve(given.model_copy(update={"uri": f"file://{tmp_path}/other.txt"}), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["other.txt"]


def test_two_machines_make_the_same_bytes(given: Source, tmp_path: Path) -> None:
    for machine in ("here", "there"):
        resolve(given, tmp_path / machine / "name")
    made = [
        {path.name: path.read_bytes() for path in (tmp_path / each).rglob("*") if path.is_file()}
        for each in ("here", "there")
    ]
    assert made[0] == made[1]


def test_entries_that_params_no_longer_name_are_removed(
    given: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sources"])
    params = load_params(REPOSITORY / "params.yaml")
    used = dict.fromkeys(["corpus", "encoder", "stsb", "llm"], given)
    monkeypatch.setattr(stage, "load_params", lambda: params.model_copy(update={"sources": used}))
    (tmp_path / "data/sources/gone").mkdir(parents=True)
    stage.main()
    names = {path.name for path in Path("data/sources").iterdir()}
    assert names == {*used, *(f".{name}.json" for name in used)}
