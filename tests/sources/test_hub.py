"""The hub's client against a small hub on loopback; in a process of its own, for it reads HF_ENDPOINT once."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.sources.hub import COMMIT, HubServer, environment

REPOSITORIES = {
    "models/lab/tiny": {
        "config.json": b"{}",
        "model.safetensors": b"weights",
        "pytorch_model.bin": b"pickle",
        "onnx/config.json": b"{}",
        "1_Pooling/config.json": b"{}",
    },
    "models/lab/pickled": {"config.json": b"{}", "pytorch_model.bin": b"pickle"},
    "datasets/lab/pairs": {"data/test.csv": b"a,b\n", "README.md": b"# Pairs\n", "senteval.tar": b""},
}
with io.BytesIO() as packed:
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for member in ("SICK/SICK_test.txt", "STS/other.txt"):
            archive.addfile(header := tarfile.TarInfo(f"./{member}"), io.BytesIO(b""))
    REPOSITORIES["datasets/lab/pairs"]["senteval.tar"] = packed.getvalue()

PIN = hashlib.sha256(b"a,b\n").hexdigest()
CASES = {  # name: uri, sha256
    "model": ("hf://models/lab/tiny@v1", None),
    "pickled": ("hf://models/lab/pickled", None),
    "file": ("hf://datasets/lab/pairs/data/test.csv", PIN),
    "folder": (f"hf://datasets/lab/pairs@{COMMIT}/data/", None),
    "other": ("hf://datasets/lab/pairs/data/test.csv", "0" * 64),
    "member": ("hf://datasets/lab/pairs/senteval.tar!/SICK/", None),
    "unknown": ("hf://datasets/lab/none/data.csv", None),
}

FETCH = """
import json, sys
from pathlib import Path
from components.config.sources import Source
from components.errors import CseflowError
from components.sources import resolve
told = {}
for name, (uri, sha256) in json.loads(sys.argv[1]).items():
    try:
        told[name] = str(resolve(Source(uri=uri, sha256=sha256), Path(sys.argv[2]) / name))
    except CseflowError as error:
        told[name] = str(error)
sys.stdout.write(json.dumps(told))
"""


class Fetched(NamedTuple):
    """What became of a case: the path or error told, and the files that are there."""

    told: str
    files: set[str]


def fetch(cases: dict[str, tuple[str, str | None]], root: Path, endpoint: str) -> dict[str, Fetched]:
    own = os.environ | environment(endpoint, str(root / "hub")) | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", FETCH, json.dumps(cases), "sources"]  # relative, as in the project
    done = subprocess.run(command, env=own, cwd=root, capture_output=True, text=True, check=True)
    fetched = {}
    for name, told in json.loads(done.stdout).items():
        folder = root / "sources" / name
        fetched[name] = Fetched(told, {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()})
    return fetched


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Fetched]]:
    with HubServer(REPOSITORIES) as hub:
        yield fetch(CASES, tmp_path_factory.mktemp("hub"), hub.url)


def test_a_model_comes_with_safetensors_and_without_pickles(fetched: dict[str, Fetched]) -> None:
    assert fetched["model"].files == {"config.json", "model.safetensors", "1_Pooling/config.json"}


def test_a_file_of_a_dataset_is_the_one_file_of_its_folder(fetched: dict[str, Fetched]) -> None:
    assert fetched["file"].files == {"test.csv"}
    assert fetched["file"].told.endswith("file/test.csv")


def test_a_folder_of_a_dataset_has_its_content_directly_inside(fetched: dict[str, Fetched]) -> None:
    assert fetched["folder"].files == {"test.csv"}


def test_a_member_of_an_archive_is_taken_out_of_it(fetched: dict[str, Fetched]) -> None:
    assert fetched["member"].files == {"SICK_test.txt"}


def test_a_model_with_pickles_alone_is_refused(fetched: dict[str, Fetched]) -> None:
    assert "no safetensors" in fetched["pickled"].told
    assert not fetched["pickled"].files


def test_another_hash_is_refused(fetched: dict[str, Fetched]) -> None:
    assert "0" * 64 in fetched["other"].told and PIN in fetched["other"].told
    assert not fetched["other"].files


def test_an_unknown_repository_is_one_sentence(fetched: dict[str, Fetched]) -> None:
    assert fetched["unknown"].told.startswith("hf://datasets/lab/none/data.csv: the hub did not give it")
    assert "\n" not in fetched["unknown"].told


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    dead = fetch({"dead": ("hf://models/lab/tiny", None)}, tmp_path, "http://127.0.0.1:9")["dead"]
    assert dead.told.startswith("hf://models/lab/tiny: the hub did not give it")
    assert "\n" not in dead.told
