"""Projects in miniature for the campaign: one made by DVC, and copies of it in the states that commands start from."""

import json
import os
import re
import shutil
import uuid
from pathlib import Path

from ruamel.yaml import YAML

from tests.campaign.lives import Kill, live
from tests.conftest import write_tiny_encoder
from tests.e2e.conftest import Project, copied, lay_out
from tests.project import sentences
from tests.synthesis.chat_server import ChatServer

ENVIRONMENT = {  # of every process: one core each, and nothing of the caller's own
    "OMP_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
CORPUS_SENTENCES = 20_000
CONCURRENCY = 8
TUPLES = {"nli": 120, "sts": 400}
TRAINING = {"sentences": 288, "batch_size": 16, "evaluation_steps": 3}  # 18 steps, 6 checkpoints


class Projects:
    """The states, each made once in `folder` and copied for every round."""

    def __init__(self, folder: Path, llm: ChatServer) -> None:
        self.folder, self._llm, self._copies = folder, llm, 0
        self.made = self._made()
        self.without_data = self._state("without-data", self.made)
        for name in ("answers", "data", "dvc.lock"):
            _remove(self.without_data / name)
        shutil.rmtree(self.without_data / ".dvc/cache")
        self.without_answers = self._state("without-answers", self.made)
        for name in ("answers", "data/tuples"):
            shutil.rmtree(self.without_answers / name)
        self.without_corpus = self._state("without-corpus", self.made)
        shutil.rmtree(self.without_corpus / "data/corpus")
        self.without_views = self._state("without-views", self.made)
        shutil.rmtree(self.without_views / "data/views")
        self.with_store = self._state("with-store", self.made)
        self._migrate(self.with_store)
        self.two_processes = self._state("two-processes", self.with_store)
        _set(self.two_processes / "params.yaml", "training", processes=2)
        self.without_export = self._state("without-export", self.with_store)
        training = ("cseflow", "train", "esimcse")
        cut = live(self.without_export, training, Kill(where="/.encoder."), ENVIRONMENT)
        assert cut.status == -9 and ".encoder" in cut.landed, cut
        self.without_delivery = self._state("without-delivery", self.with_store)
        done = live(self.without_delivery, training, None, ENVIRONMENT)
        assert done.status == 0, done.said
        for path in self.without_delivery.glob("runs/*/delivery.json"):
            path.unlink()
        shutil.rmtree(self.without_delivery / "mlartifacts")
        shutil.copy(self.with_store / "mlflow.db", self.without_delivery / "mlflow.db")

    def copy(self, state: Path) -> Path:
        """A folder of its own in that state."""
        self._copies += 1
        folder = self.folder / f"copy-{self._copies:04}"
        copied(Project(state), folder)
        return folder

    def _state(self, name: str, of: Path) -> Path:
        return copied(Project(of), self.folder / name).folder

    def _made(self) -> Path:
        folder = self.folder / "made"
        folder.mkdir(parents=True)
        (self.folder / "encoder").mkdir()
        project = lay_out(folder, write_tiny_encoder(self.folder / "encoder"), self._llm)
        (folder / "raw/corpus.txt").write_text("\n".join(sentences(CORPUS_SENTENCES, 0)) + "\n")
        server = {"base_url": self._llm.url, "model": "fake", "concurrency": CONCURRENCY}
        _set(folder / "params.yaml", "synthesis", tuples=TUPLES, openai=server)
        _set(folder / "params.yaml", "training", **TRAINING)
        _set(folder / "params.yaml", "experiment", variants=["simcse", "esimcse", "ngcse-sts-ht"])
        done = project.run("dvc", "repro", "-q", **ENVIRONMENT)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder

    def _migrate(self, folder: Path) -> None:
        """An empty store, for its migrations take seconds."""
        live(folder, ("cseflow", "deliver"), None, ENVIRONMENT)
        live(folder, ("cseflow", "rollback"), None, ENVIRONMENT)
        assert (folder / "mlflow.db").exists()


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _set(params: Path, section: str, **values: object) -> None:
    yaml = YAML()
    content = yaml.load(params)
    content[section] |= values
    yaml.dump(content, params)


def new_journal(folder: Path) -> str:
    """Give the only run of a project another id, so that one server can take it many times."""
    (path,) = folder.glob("runs/*-seed*/journal.jsonl")
    mine = uuid.uuid4().hex
    path.write_text(re.sub(r'"journal": "[0-9a-f]{32}"', f'"journal": {json.dumps(mine)}', path.read_text(), count=1))
    return mine
