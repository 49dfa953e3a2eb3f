"""A project of its own, made by real DVC from small sources: the road from sources to champion, in a minute."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from components.synthesis.prompt import load_prompt
from components.synthesis.tuples import PATTERNS
from tests.conftest import made_once
from tests.project import REPOSITORY, sentences
from tests.synthesis.chat_server import Call, ChatServer, Reply, said

BIN = Path(sys.executable).parent
PASSWORD, KEY = "password-4711", "key-0815"  # for tests that look for them
WITH_PASSWORD = f"http://me:{PASSWORD}@127.0.0.1:9"  # where nothing listens
# As a firm's machine has it: keys, and a proxy for everything.
ENVIRONMENT = {"OPENAI_API_KEY": KEY, "HF_TOKEN": KEY, "http_proxy": WITH_PASSWORD, "HTTP_PROXY": WITH_PASSWORD}
ROLE_OF = {told: role for pattern in PATTERNS for role, told in load_prompt(pattern).instructions.items()}


@dataclass(frozen=True)
class Project:
    """A folder that `cseflow` and `dvc` run in, with stores of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)  # over the caller's own
    printed: list[str] = field(default_factory=list)  # by what has `run`

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the virtual environment there; output is captured, the status not checked."""
        process = self.start(*command, **environment)
        out, error = process.communicate(timeout=1200)  # for a hang: a busy machine takes its time
        self.printed.append(out + error)
        return subprocess.CompletedProcess(command, process.returncode, out, error)

    def start(self, *command: str, session: bool = False, **environment: str) -> subprocess.Popen[str]:
        """As `run`, without waiting for the end; with `session`, in a process group of its own."""
        own = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "PREFECT_HOME": str(self.folder / ".state/prefect"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        (self.folder / ".state").mkdir(exist_ok=True)  # Prefect makes its home, but no folder above it
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | own | self.environment | environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=session,
        )


def answer(call: Call) -> Reply:
    """An LLM's part, for either pattern."""
    words = call.asked.split()
    texts = {"positive": ["it", "is", *words], "intermediate": words[1:], "negative": [*words[-2::-1], "."]}
    return said(json.dumps({"sentence": " ".join(texts[ROLE_OF[call.body["messages"][0]["content"]]])}))


@pytest.fixture(scope="session")
def llm() -> Iterator[ChatServer]:
    """A server that writes tuples."""
    with ChatServer(answer) as server:
        yield server


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, llm: ChatServer) -> Project:
    """A project with all its data made and validated by `dvc repro`; for copies, see `copied`."""

    def make(folder: Path) -> None:
        done = lay_out(folder, tiny_encoder, llm).run("dvc", "repro", "-q", **ENVIRONMENT)
        assert done.returncode == 0, done.stdout + done.stderr

    return Project(made_once(tmp_path_factory, "made", make))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, made: Project) -> Project:
    """A project with all its data, for the tests of one file."""
    project = replace(copied(made, tmp_path_factory.mktemp("road")), environment=ENVIRONMENT)
    remote = project.run("git", "remote", "add", "origin", f"{WITH_PASSWORD}/team/project.git")
    assert remote.returncode == 0, remote.stderr
    return project


def copied(project: Project, folder: Path) -> Project:
    """The project in another folder."""
    shutil.copytree(project.folder, folder, dirs_exist_ok=True, symlinks=True)
    return Project(folder)


def lay_out(folder: Path, tiny_encoder: Path, llm: ChatServer) -> Project:
    """A project without data, as a clone has it."""
    for name in ("components", "flows", "profiles"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", "prefect.yaml"):
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / "baselines").mkdir()  # this project's data have never been accepted
    _write_sources(folder / "raw", tiny_encoder)
    _write_params(folder, llm)
    project = Project(folder)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        done = project.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return project


def _write_sources(raw: Path, encoder: Path) -> None:
    shutil.copytree(encoder, raw / "encoder")
    (raw / "corpus.txt").write_text("\n".join(sentences(400, 0)) + "\n")
    (raw / "stsb").mkdir()
    for split, count, seed in (("train", 80, 1), ("dev", 80, 2), ("test", 80, 3)):
        scores = np.random.default_rng(seed).integers(0, 6, count)
        rows = zip(scores, sentences(count, seed), sentences(count, seed + 100), strict=True)
        lines = [
            f"genre\tfile\tyear\t{k}\t{score}.0\t{first}\t{first if score >= 4 else second}"
            for k, (score, first, second) in enumerate(rows)
        ]
        (raw / "stsb" / f"sts-{split}.csv").write_text("\n".join(lines) + "\n")


def _write_params(folder: Path, llm: ChatServer) -> None:
    yaml = YAML()
    params = yaml.load(REPOSITORY / "params.yaml")
    params["sources"] = {
        "corpus": {"uri": f"file://{folder}/raw/corpus.txt"},
        "encoder": {"uri": f"file://{folder}/raw/encoder"},
        "stsb": {"uri": f"file://{folder}/raw/stsb"},
    }
    params["synthesis"] |= {
        "backend": "openai",
        "openai": {"base_url": llm.url, "model": "fake"},
        "tuples": {"nli": 120, "sts": 120},
        "anchors": {"min_words": 5, "max_words": 64},
        "exemplars": {"count": 0},
        "filters": {"min_words": 2, "min_language": 0.0, "match_error_rate": {}, "nearer": False, "denial": False},
    }
    params["corpus"] |= {"format": "text", "filter": False, "min_words": 1}
    params["validation"]["corpus"] |= {"min_rows": 100, "max_foreign": 1.0}
    params["validation"]["sts"] |= {"rows": {}, "max_leakage": 1.0}
    params["evaluation"]["geometry"] |= {"samples": 30}
    params["training"] |= {"sentences": 96, "batch_size": 24, "evaluation_steps": 4, "learning_rate": 1e-3}
    params["experiment"]["seeds"] = [0]
    params["variants"]["diverging"] = {**params["variants"]["simcse"], "training": {"learning_rate": 1e38}}
    params["promotion"]["rules"] = [
        {"rule": "floor", "metric": "sts/STSB", "minimum": -100.0},
        {"rule": "validations"},
    ]
    yaml.dump(params, folder / "params.yaml")
