"""The data's shards on a Dask cluster: the bytes that DVC's stages alone make, and no request made twice."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from components.augmentation.shards import make_view
from components.config import load_params
from components.corpus.build import build
from tests.e2e.conftest import Project, lay_out
from tests.project import sentences
from tests.synthesis.chat_server import ChatServer

pytestmark = pytest.mark.e2e
ON_DASK = "from flows.data import on_dask, workers; on_dask.prefect.with_options(task_runner=workers('local'))()"


class OnDask(NamedTuple):
    """A project whose data a cluster has made, and what the flow said."""

    project: Project
    said: str


@pytest.fixture(scope="module")
def on_dask(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, llm: ChatServer) -> OnDask:
    """The corpus comes in five files, some sentences in several of them; each pattern's answers in two shares."""
    project = lay_out(tmp_path_factory.mktemp("dask") / "project", tiny_encoder, llm)
    folder = project.folder
    (folder / "raw/dumps").mkdir()
    lines = sentences(400, 0)
    for number in range(5):
        (folder / f"raw/dumps/part{number}.txt").write_text("\n".join(lines[number * 70 : number * 70 + 120]) + "\n")
    yaml = YAML()
    params: dict[str, Any] = yaml.load(folder / "params.yaml")
    params["sources"]["corpus"]["uri"] = f"file://{folder}/raw/dumps"
    params["dask"] = {"scheduler": "local", "synthesis_shares": 2}
    yaml.dump(params, folder / "params.yaml")
    said = ""
    for command in (["dvc", "repro", "fetch"], ["python", "-c", ON_DASK], ["dvc", "repro", "-q", "synthesize"]):
        done = project.run(*command, PREFECT_LOGGING_LEVEL="INFO")
        said = done.stdout + done.stderr if command[0] == "python" else said
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return OnDask(project, said)


def made(data: Path) -> dict[str, bytes]:
    files = [path for room in ("corpus", "views") for path in sorted((data / room).rglob("*")) if path.is_file()]
    return {str(path.relative_to(data)): path.read_bytes() for path in files}


def make_alone(project: Project, data: Path) -> None:
    """What DVC's stages do, in this process."""
    params, sources = load_params(project.folder / "params.yaml"), project.folder / "data/sources"
    build(sources / "corpus", data / "corpus", params.corpus, params.seed)
    views = sorted(params.augmentation.views, key=lambda name: name != params.augmentation.identity)
    for split in ("train", "heldout"):
        for view in views:
            corpus = data / "corpus" / f"{split}.parquet"
            make_view(view, params, corpus=corpus, sources=sources, views=data / "views" / split)


def test_a_dask_cluster_makes_the_same_bytes(on_dask: OnDask, tmp_path: Path) -> None:
    make_alone(on_dask.project, tmp_path / "alone")
    assert made(on_dask.project.folder / "data") == made(tmp_path / "alone")


def test_each_file_and_view_is_a_task_and_leaves_no_work_behind(on_dask: OnDask) -> None:
    tasks = 5 + 2 * 5  # files; views of both splits
    assert on_dask.said.count("Finished in state Completed") >= tasks, on_dask.said[-4000:]
    assert not list(on_dask.project.folder.glob("data/**/.*.work/*"))


def test_synthesis_is_divided_among_a_clusters_tasks(on_dask: OnDask) -> None:
    folder = on_dask.project.folder
    for pattern in ("nli", "sts"):
        records = [
            json.loads(line)
            for path in folder.glob(f"answers/{pattern}*.jsonl")
            for line in path.read_text().splitlines()
        ]
        assert len(records) == len({record["key"] for record in records}) >= 120 * 2
        shares = [folder / f"answers/{pattern}.{number}-of-2.jsonl" for number in (1, 2)]
        assert sum(path.read_text().count("\n") for path in shares) > 0.8 * len(records)
        assert (folder / f"data/tuples/{pattern}.parquet").is_file()
