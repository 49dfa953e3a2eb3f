"""Projects in miniature for the campaign: one made by DVC, and copies of it in the states that commands start from."""

import json
import os
import re
import shutil
import uuid
from collections.abc import Callable
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
TRAIN = ("cseflow", "train", "esimcse")
TRAINING = {"sentences": 288, "batch_size": 16, "evaluation_steps": 3}  # 18 steps, 6 checkpoints


class Projects:
    """The states, each made once in `folder` and copied for every round; those that are made already are taken."""

    def __init__(self, folder: Path, llm: ChatServer) -> None:
        self.folder, self._llm, self._copies = folder, llm, 0
        self.made = self._state("made", self._make)
        self.without_data = self._without("data", "answers", "data", "dvc.lock", ".dvc/cache")
        self.without_answers = self._without("answers", "answers", "data/tuples")
        self.without_corpus = self._without("corpus", "data/corpus")
        self.without_views = self._without("views", "data/views")
        self.with_store = self._state("with-store", self._migrate, self.made)
        self.two_processes = self._state(
            "two-processes", lambda at: _set(at / "params.yaml", "training", processes=2), self.with_store
        )
        self.without_export = self._state("without-export", self._train_up_to_export, self.with_store)
        self.without_delivery = self._state("without-delivery", self._train_and_forget_delivery, self.with_store)

    def copy(self, state: Path) -> Path:
        """A folder of its own in that state."""
        self._copies += 1
        folder = self.folder / f"copy-{os.getpid()}-{self._copies:04}"
        copied(Project(state), folder)
        return folder

    def _state(self, name: str, make: Callable[[Path], object], of: Path | None = None) -> Path:
        folder, done = self.folder / name, self.folder / f"{name}.done"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            if of is not None:
                copied(Project(of), folder)
            make(folder)
            done.touch()
        return folder

    def _without(self, name: str, *removed: str) -> Path:
        def remove(folder: Path) -> None:
            for each in removed:
                path = folder / each
                shutil.rmtree(path) if path.is_dir() else path.unlink()

        return self._state(f"without-{name}", remove, self.made)

    def _make(self, folder: Path) -> None:
        folder.mkdir()
        encoder = self.folder / "encoder"
        shutil.rmtree(encoder, ignore_errors=True)
        encoder.mkdir()
        project = lay_out(folder, write_tiny_encoder(encoder), self._llm)
        (folder / "raw/corpus.txt").write_text("\n".join(sentences(CORPUS_SENTENCES, 0)) + "\n")
        server = {"base_url": self._llm.url, "model": "fake", "concurrency": CONCURRENCY}
        _set(folder / "params.yaml", "synthesis", tuples=TUPLES, openai=server)
        _set(folder / "params.yaml", "training", **TRAINING)
        _set(folder / "params.yaml", "experiment", variants=["simcse", "esimcse", "ngcse-sts-ht"])
        done = project.run("dvc", "repro", "-q", **ENVIRONMENT)
        assert done.returncode == 0, done.stdout + done.stderr

    def _train_up_to_export(self, folder: Path) -> None:
        cut = live(folder, TRAIN, Kill(where="/.encoder."), ENVIRONMENT)
        assert cut.status == -9 and ".encoder" in cut.landed, cut

    def _train_and_forget_delivery(self, folder: Path) -> None:
        done = live(folder, TRAIN, None, ENVIRONMENT)
        assert done.status == 0, done.said
        for path in folder.glob("runs/*/delivery.json"):
            path.unlink()
        shutil.rmtree(folder / "mlartifacts")
        shutil.copy(self.with_store / "mlflow.db", folder / "mlflow.db")

    def _migrate(self, folder: Path) -> None:
        """An empty store, for its migrations take seconds."""
        live(folder, ("cseflow", "deliver"), None, ENVIRONMENT)
        live(folder, ("cseflow", "rollback"), None, ENVIRONMENT)
        assert (folder / "mlflow.db").exists()


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
