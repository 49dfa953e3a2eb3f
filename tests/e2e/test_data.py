"""The data's shards on a Dask cluster: the bytes that DVC's stages alone make, and no request made twice."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.augmentation.shards import make_view
from components.config import load_params
from components.corpus.build import build
from tests.e2e.conftest import Project, lay_out
from tests.project import REPOSITORY, sentences
from tests.synthesis.chat_server import ChatServer

pytestmark = pytest.mark.e2e
ON_DASK = "from flows.data import on_dask, workers; on_dask.prefect.with_options(task_runner=workers('local'))()"


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path) -> Project:
    """A project whose corpus comes in five files, some sentences in several of them."""
    folder = tmp_path / "project"
    for name in ("components", "flows", "profiles"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(REPOSITORY / name, folder / name)
    shutil.copytree(tiny_encoder, folder / "raw/encoder")
    (folder / "baselines").mkdir()
    (folder / "raw/dumps").mkdir()
    lines = sentences(400, 0)
    for number in range(5):
        (folder / f"raw/dumps/part{number}.txt").write_text("\n".join(lines[number * 70 : number * 70 + 120]) + "\n")
    yaml = YAML()
    params: dict[str, Any] = yaml.load(REPOSITORY / "params.yaml")
    for name, path in {"corpus": "dumps", "encoder": "encoder", "stsb": "dumps", "llm": "dumps"}.items():
        params["sources"][name] = {"uri": f"file://{folder}/raw/{path}"}
    params["corpus"] |= {"format": "text", "filter": False, "min_words": 1}
    yaml.dump(params, folder / "params.yaml")
    project = Project(folder)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "fetch"]):
        done = project.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return project


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


def test_a_dask_cluster_makes_the_same_bytes(project: Project, tmp_path: Path) -> None:
    flow = project.start("python", "-c", ON_DASK, PREFECT_LOGGING_LEVEL="INFO")
    make_alone(project, tmp_path / "alone")
    out, error = flow.communicate(timeout=1200)
    said = out + error
    assert flow.returncode == 0, said[-4000:]
    assert said.count("Finished in state Completed") >= 5 + 2 * 5, said[-4000:]  # files; views of both splits
    assert made(project.folder / "data") == made(tmp_path / "alone")
    assert not list(project.folder.glob("data/**/.*.work/*"))


def test_synthesis_is_divided_among_a_clusters_tasks(tmp_path: Path, tiny_encoder: Path, llm: ChatServer) -> None:
    project = lay_out(tmp_path / "project", tiny_encoder, llm)
    yaml = YAML()
    params = yaml.load(project.folder / "params.yaml")
    params["dask"] = {"scheduler": "local", "synthesis_shares": 2}
    yaml.dump(params, project.folder / "params.yaml")
    for command in (["dvc", "repro", "fetch"], ["python", "-c", ON_DASK], ["dvc", "repro", "-q", "synthesize"]):
        done = project.run(*command)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    for pattern in ("nli", "sts"):
        records = [
            json.loads(line)
            for path in project.folder.glob(f"answers/{pattern}*.jsonl")
            for line in path.read_text().splitlines()
        ]
        assert len(records) == len({record["key"] for record in records}) >= 120 * 2
        shares = [project.folder / f"answers/{pattern}.{number}-of-2.jsonl" for number in (1, 2)]
        assert sum(path.read_text().count("\n") for path in shares) > 0.8 * len(records)
        assert (project.folder / f"data/tuples/{pattern}.parquet").is_file()
