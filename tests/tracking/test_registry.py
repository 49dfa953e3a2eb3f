import shutil
from pathlib import Path

import numpy as np
import pytest

from components.errors import CseflowError
from components.tracking import registry
from components.tracking.delivery import deliver
from components.tracking.journal import Journal
from components.tracking.registry import champion, local_copy, promote, rollback
from components.tracking.store import connect

MODEL = "cse-encoder"
SENTENCES = ["the cat sat on the mat", "a queen took the old city"]


@pytest.fixture
def runs(mlflow_store: str, tiny_encoder: Path, tmp_path: Path) -> list[str]:
    """Ids of three delivered runs with an encoder."""
    ids = []
    for name in "abc":
        with Journal(tmp_path / "runs" / name) as journal:
            journal.start(name, "test", tags={"cse.variant": name})
            journal.model(tiny_encoder)
            journal.finish()
        ids.append(str(deliver(tmp_path / "runs" / name).run_id))
    return ids


def aliases() -> dict[str, str]:
    return {alias: str(version) for alias, version in connect().get_registered_model(MODEL).aliases.items()}


def test_there_is_no_champion_before_the_first_promotion(mlflow_store: str) -> None:
    assert champion(MODEL) is None


def test_the_former_champion_stays_as_previous(runs: list[str]) -> None:
    for run_id in runs[:2]:
        promote(MODEL, run_id, report_markdown="# passed")
    assert champion(MODEL) == registry.RegisteredEncoder(MODEL, "2", runs[1]) and aliases()["previous"] == "1"


def test_promoting_the_champion_again_changes_nothing(runs: list[str]) -> None:
    for run_id in [runs[0], runs[1], runs[1]]:
        promote(MODEL, run_id, report_markdown="# passed")
    assert aliases() == {"champion": "2", "previous": "1"}


def test_the_report_is_in_the_run_and_on_the_version(runs: list[str]) -> None:
    version = promote(MODEL, runs[0], report_markdown="# passed", tags={"cse.variant": "simcse"}).version
    logged = connect().get_model_version(MODEL, version)
    text = Path(connect().download_artifacts(runs[0], registry.REPORT)).read_text()
    assert (text, logged.description, logged.tags["cse.variant"]) == ("# passed", "# passed", "simcse")


def test_a_kill_while_promoting_leaves_the_champion(runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    promote(MODEL, runs[0], report_markdown="")
    move = MlflowClient.set_registered_model_alias

    def killed_before_the_move(self: MlflowClient, name: str, alias: str, version: str) -> None:
        if alias == "champion":
            raise KeyboardInterrupt
        move(self, name, alias, version)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, "set_registered_model_alias", killed_before_the_move)
        promote(MODEL, runs[1], report_markdown="")
    assert aliases()["champion"] == "1"
    promote(MODEL, runs[1], report_markdown="")
    assert aliases() == {"champion": "2", "previous": "1"}


def test_rolling_back_walks_back_to_the_first(runs: list[str]) -> None:
    for run_id in runs:
        promote(MODEL, run_id, report_markdown="")
    assert [rollback(MODEL).version, rollback(MODEL).version] == ["2", "1"]
    with pytest.raises(CseflowError, match="no former champion"):
        rollback(MODEL)


def test_a_run_without_encoder_is_not_promoted(mlflow_store: str, tmp_path: Path) -> None:
    with Journal(tmp_path / "a") as journal:
        journal.start("a", "test")
        journal.finish()
    with pytest.raises(CseflowError, match="has no encoder"):
        promote(MODEL, str(deliver(tmp_path / "a").run_id), report_markdown="")


def test_the_local_copy_is_the_exported_folder_byte_for_byte(
    runs: list[str], tiny_encoder: Path, tmp_path: Path
) -> None:
    promote(MODEL, runs[0], report_markdown="")
    copy = local_copy(f"models:/{MODEL}@champion", tmp_path / "copy")
    files = sorted(path.relative_to(tiny_encoder) for path in tiny_encoder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(copy) for path in copy.rglob("*") if path.is_file())
    assert all((copy / path).read_bytes() == (tiny_encoder / path).read_bytes() for path in files)


def test_mlflows_own_loader_gives_the_same_embeddings(runs: list[str], tiny_encoder: Path) -> None:
    import mlflow
    from sentence_transformers import SentenceTransformer

    promote(MODEL, runs[0], report_markdown="")
    loaded = mlflow.sentence_transformers.load_model(f"models:/{MODEL}@champion")
    plain = SentenceTransformer(str(tiny_encoder))
    np.testing.assert_array_equal(loaded.encode(SENTENCES), plain.encode(SENTENCES))


def test_pickled_weights_are_refused(mlflow_store: str, tiny_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "pickled")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"\x80")
    with Journal(tmp_path / "a") as journal:
        journal.start("a", "test")
        journal.model(tmp_path / "pickled")
    promote(MODEL, str(deliver(tmp_path / "a").run_id), report_markdown="")
    with pytest.raises(CseflowError, match="unpickled"):
        local_copy(f"models:/{MODEL}@champion", tmp_path / "copy")


def test_an_unknown_model_is_one_clear_sentence(mlflow_store: str, tmp_path: Path) -> None:
    with pytest.raises(CseflowError, match="nothing"):
        local_copy("models:/nothing@champion", tmp_path / "copy")
