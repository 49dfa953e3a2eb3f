"""Many dump shards on a Dask cluster: the bytes that DVC's stages alone make."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Project, change_params
from tests.project import sentences

pytestmark = pytest.mark.e2e


@pytest.fixture
def sharded(project: Project, tmp_path: Path) -> Project:
    """A project of its own whose corpus comes in five files, some sentences in several of them."""
    folder = shutil.copytree(project.folder, tmp_path / "sharded", ignore=shutil.ignore_patterns("runs", "mlflow*"))
    lines = sentences(400, 0)
    (folder / "raw/dumps").mkdir()
    for number in range(5):
        (folder / f"raw/dumps/part{number}.txt").write_text("\n".join(lines[number * 70 : number * 70 + 120]) + "\n")
    return Project(folder)


def made(project: Project) -> dict[str, bytes]:
    return {
        str(path.relative_to(project.folder)): path.read_bytes()
        for room in ("corpus", "views")
        for path in sorted(project.folder.glob(f"data/{room}/**/*"))
        if path.is_file()
    }


def test_a_dask_cluster_makes_the_same_bytes(sharded: Project) -> None:
    source = {"corpus": {"uri": f"file://{sharded.folder}/raw/dumps"}}
    change_params(sharded.folder, sources=source)
    stages = ("corpus", "tokens", "augmentation")
    done = sharded.run("dvc", "repro", "-q", *stages)
    assert done.returncode == 0, done.stderr
    expected = made(sharded)
    for path in ("data/corpus", "data/views", ".dvc/cache", "dvc.lock"):
        target = sharded.folder / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    change_params(sharded.folder, dask={"scheduler": "local"})
    done = sharded.run("python", "-c", "from flows.data import data; data()", PREFECT_LOGGING_LEVEL="INFO")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = done.stdout + done.stderr
    assert all(f"Task run 'corpus part{number}.txt' - Finished in state Completed" in said for number in range(5))
    assert "Task run 'span_mask from shard 0' - Finished in state Completed" in said
    assert made(sharded) == expected
