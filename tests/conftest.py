"""Fixtures that several rooms share: a tiny encoder and an MLflow store of one's own."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent.parent))  # of processes that tests start
os.environ.setdefault("OMP_NUM_THREADS", "1")  # on tensors this small, threads only wait for each other

LONGEST = "test_deployments.py"  # it mostly waits, so it goes beside all others


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files come first, so that all cores end together; tests of the stores run only where -m names them."""
    unnamed = "stores" not in config.option.markexpr
    left_out = [item for item in items if unnamed and item.get_closest_marker("stores")]
    config.hook.pytest_deselected(items=left_out)
    kept = [item for item in items if item not in set(left_out)]
    kept.sort(key=lambda item: (item.path.name != LONGEST, item.get_closest_marker("e2e") is None))
    for item in kept:
        if "server" in getattr(item, "fixturenames", ()) and "tracking" in item.path.parts:
            item.add_marker("slow")
    items[:] = kept


WORDS = """the a an of in on to and is was are were it he she they his her its this that cat dog mat house river city
king queen year book man woman child water fire sat ran saw made gave took old new red big small one two not no ##s
##ed ##ing . , ? - 1 2 3"""


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder: a random BERT of 2 layers and 32 dimensions with mean pooling."""
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def write_tiny_encoder(folder: Path) -> Path:
    """Make the encoder of the fixture `tiny_encoder` in `folder`, which exists; its own folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]) + "\n")
    tokenizer = BertTokenizerFast(str(vocabulary), model_max_length=64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(
            BertConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=64,
            )
        )
    plain = folder / "transformer"
    model.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    transformer = Transformer(str(plain))
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder / "tiny"))
    return folder / "tiny"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills, once for all of pytest's worker processes; tests that change it take a copy."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def _empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables, made once because the migrations take seconds."""

    def migrate(folder: Path) -> None:
        from mlflow import MlflowClient

        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()

    return made_once(tmp_path_factory, "store", migrate) / "mlflow.db"


@pytest.fixture
def mlflow_store(_empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty SQLite store in tmp_path, set as MLFLOW_TRACKING_URI; its URI."""
    shutil.copy(_empty_store, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri
