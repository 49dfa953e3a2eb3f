import hashlib
import subprocess
from pathlib import Path

import pytest

from components.errors import DataError
from components.tracking.lineage import data_version, data_versions, dataset_versions, lineage_tags

LOCK = """
schema: '2.0'
stages:
  corpus:
    cmd: python -m components.corpus
    outs:
    - {path: data/corpus/train.parquet, hash: md5, md5: 0123456789abcdef0123456789abcdef, size: 1}
  sts:
    cmd: python -m components.evaluation
    outs:
    - {path: data/sts, hash: md5, md5: fedcba9876543210fedcba9876543210.dir, size: 1, nfiles: 1}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "data" / "sts").mkdir(parents=True)
    (tmp_path / "data" / "sts" / "STSB.parquet").write_bytes(b"pairs")
    return tmp_path


def test_files_and_folders_have_the_version_in_the_lock(project: Path) -> None:
    assert data_versions(["data/corpus/train.parquet", Path("data/sts")]) == {
        "data/corpus/train.parquet": "0123456789abcdef0123456789abcdef",
        "data/sts": "fedcba9876543210fedcba9876543210.dir",
    }


def test_a_file_in_a_folder_has_the_md5_of_its_bytes(project: Path) -> None:
    assert data_versions(["data/sts/STSB.parquet"]) == {"data/sts/STSB.parquet": hashlib.md5(b"pairs").hexdigest()}


def test_a_folder_in_a_folder_has_a_version_of_its_own(project: Path) -> None:
    (project / "data" / "sts" / "train").mkdir()
    (project / "data" / "sts" / "train" / "STSB.parquet").write_bytes(b"pairs")
    lines = f"{hashlib.md5(b'pairs').hexdigest()}  STSB.parquet\n"
    assert data_versions(["data/sts/train"]) == {"data/sts/train": f"{hashlib.md5(lines.encode()).hexdigest()}.dir"}


def test_a_path_that_no_stage_makes_is_an_error(project: Path) -> None:
    with pytest.raises(DataError, match="dvc repro"):
        data_versions(["data/views/identity"])


def test_without_a_lock_the_error_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run dvc repro"):
        data_versions(["data/sts"], lock=tmp_path / "dvc.lock")


def test_the_version_of_all_data_changes_with_any_of_them(project: Path) -> None:
    before = data_version()
    (project / "dvc.lock").write_text(LOCK.replace("fedc", "0000"))
    assert len(before) == 32 and data_version() != before


def test_the_version_of_all_data_does_not_depend_on_what_made_them(project: Path) -> None:
    before = data_version()
    (project / "dvc.lock").write_text(LOCK.replace("cmd: python -m components.sts", "cmd: other").replace("sts:", "s:"))
    assert data_version() == before


def test_dataset_inputs_carry_name_version_and_place(project: Path) -> None:
    (version,) = dataset_versions(["data/sts"], context="evaluation")
    assert (version.name, version.digest, version.source, version.context) == (
        "sts",
        "fedcba9876543210fedcba9876543210.dir",
        "data/sts",
        "evaluation",
    )


def test_a_changed_tracked_file_makes_the_commit_dirty(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    clean = lineage_tags(tmp_path)
    (tmp_path / "code.py").write_text("x = 2\n")
    dirty = lineage_tags(tmp_path)
    assert clean["cse.git.commit"] == dirty["cse.git.commit"] == git("rev-parse", "HEAD")
    assert (clean["cse.git.dirty"], dirty["cse.git.dirty"]) == ("false", "true")


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lineage_tags(tmp_path)["cse.git.commit"] == "unknown"


def test_libraries_and_hardware_are_named(tmp_path: Path) -> None:
    tags = lineage_tags(tmp_path)
    assert {"cse.version.torch", "cse.version.mlflow", "cse.hardware.cpu", "cse.hardware.gpus"} <= set(tags)
