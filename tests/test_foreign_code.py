"""A checkpoint that brings Python code of its own: nothing here runs it, whichever way the checkpoint is read."""

import ast
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.config.encoder import Encoder
from components.config.synthesis import Sampling
from components.encoder.model import SentenceEncoder
from components.errors import CseflowError
from components.evaluation.evaluate import load_model
from components.synthesis.backends.local.backend import LocalBackend
from components.synthesis.filters import encoder_of
from tests.project import REPOSITORY
from tests.synthesis.tiny_llm import as_folder

PARTS = ("components", "flows", "benchmarks")
LOADERS = {"SentenceTransformer", "CrossEncoder", "from_pretrained", "pipeline"}


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def with_code(folder: Path, spoor: Path) -> Path:
    """Have a transformers folder's configuration, model and tokenizer name classes that leave `spoor` when imported."""
    (folder / "own.py").write_text(f"from pathlib import Path\nPath({str(spoor)!r}).touch()\n")
    models = ("AutoModel", "AutoModelForCausalLM")
    edit(folder / "config.json", auto_map={"AutoConfig": "own.Own"} | dict.fromkeys(models, "own.Own"), model_type="x")
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]})
    return folder


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_folder(tmp_path_factory.mktemp("llm") / "tiny")


@pytest.mark.parametrize(
    "load",
    [
        lambda folder: SentenceEncoder.load(folder, Encoder()),
        lambda folder: load_model(str(folder)),
        encoder_of,
        lambda folder: LocalBackend(folder, Sampling(), 1, "fp32"),
    ],
    ids=["encoder", "evaluate", "filters", "llm"],
)
def test_code_of_a_checkpoint_is_not_run(
    load: Callable[[Path], Any], llm: Path, tiny_encoder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plain = llm if request.node.callspec.id == "llm" else tiny_encoder
    folder, spoor = with_code(shutil.copytree(plain, tmp_path / "base"), tmp_path / "spoor"), tmp_path / "spoor"
    with pytest.raises((CseflowError, ValueError)):
        load(folder)
    assert not spoor.exists()


def test_a_module_of_a_folders_own_is_not_run(tiny_encoder: Path, tmp_path: Path) -> None:
    folder, spoor = shutil.copytree(tiny_encoder, tmp_path / "base"), tmp_path / "spoor"
    (folder / "own.py").write_text(f"from pathlib import Path\nPath({str(spoor)!r}).touch()\n")
    modules = json.loads((folder / "modules.json").read_text())
    modules[-1]["type"] = "own.Own"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CseflowError, match=r"can't be loaded as a sentence-transformers folder or hub id: .*own\.Own"):
        load_model(str(folder))
    assert not spoor.exists()


def loads() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the project that loads a model or tokenizer by its name or folder, and where it stands."""
    for path in sorted(path for part in PARTS for path in (REPOSITORY / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in LOADERS and node.args:
                yield f"{path.relative_to(REPOSITORY)}:{node.lineno}", node


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_load_says_that_code_is_not_run() -> None:
    """transformers would ask in a terminal, and sentence-transformers before 6 trusts every local folder."""
    says = {place: "trust_remote_code=False" in ast.unparse(call) for place, call in loads()}
    assert len(says) > 10 and not [place for place, said in says.items() if not said]
