import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from components.errors import CseflowError
from components.tracking import registry
from components.tracking.delivery import deliver
from components.tracking.journal import DatasetVersion, Journal
from components.tracking.registry import champion, local_copy, promote, rollback
from components.tracking.store import connect

MODEL = "cse-encoder"
SENTENCES = ["the cat sat on the mat", "a queen took the old city"]


DATA = DatasetVersion("sts/STSB.parquet", "f" * 32, "data/sts/STSB.parquet", "evaluation")


@pytest.fixture
def runs(mlflow_store: str, tiny_encoder: Path, tmp_path: Path) -> list[str]:
    """Ids of three delivered runs with an encoder."""
    return [delivered(tmp_path / "runs" / name, tiny_encoder) for name in "abc"]


def delivered(folder: Path, encoder: Path) -> str:
    """The id of a run as a training leaves it, by the name of `folder`."""
    with Journal(folder) as journal:
        own = {"cse.variant": folder.name, "cse.seed": "0", "cse.data.version": "d" * 32}
        journal.start(folder.name, "test", tags=own, params={"seed": 0}, datasets=[DATA])
        for step, dev in ((0, 86.0), (20, 88.0), (40, 87.0)):
            journal.metrics({"train/loss": 0.1, "sts/STSB-dev": dev}, step)
        journal.metrics({"sts/STSB": 82.03, "sts/avg": 82.03, "train/best_step": 20}, 40)
        (folder / "predictions.parquet").touch()
        journal.artifact(folder / "predictions.parquet", "scores")
        journal.model(encoder)
        journal.finish()
    return str(deliver(folder).run_id)


def aliases() -> dict[str, str]:
    return {alias: str(version) for alias, version in connect().get_registered_model(MODEL).aliases.items()}


def test_a_folder_mlruns_leads_nothing_astray(runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlruns/0").mkdir(parents=True)  # by it MLflow's own default store is another one
    (tmp_path / "mlruns/0/meta.yaml").write_text("artifact_location: x\nexperiment_id: '0'\nname: Default\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert promote(MODEL, runs[0], report_markdown="") == champion(MODEL)


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
    assert text == "# passed" and logged.description.endswith("# passed") and logged.tags["cse.variant"] == "simcse"


def test_version_and_model_say_variant_score_verdict_and_data(runs: list[str]) -> None:
    promote(MODEL, runs[0], report_markdown="")
    client = connect()
    said = "`a`, seed 0: `sts/avg` 82.03, `sts/STSB` 82.03 (Spearman ×100); passed the promotion gate, "
    said += f"data version `{'d' * 32}`."
    model_id = client.search_logged_models([client.get_run(runs[0]).info.experiment_id], f"source_run_id = '{runs[0]}'")
    version = client.get_model_version(MODEL, "1")
    assert version.description == said and said in client.get_registered_model(MODEL).description
    assert version.tags["cse.model_id"] == model_id[0].model_id and version.tags["sts/STSB"] == "82.03"
    promote(MODEL, runs[1], report_markdown="")
    assert "version 2, `b`" in client.get_registered_model(MODEL).description
    rollback(MODEL)
    assert "version 1, `a`" in client.get_registered_model(MODEL).description


def test_models_are_found_by_their_metrics_and_know_their_data(runs: list[str]) -> None:
    promote(MODEL, runs[0], report_markdown="")
    client = connect()
    experiment = client.get_run(runs[0]).info.experiment_id
    assert client.search_logged_models([experiment], "metrics.`sts/STSB` > 83") == []
    found = client.search_logged_models([experiment], "metrics.`sts/STSB` > 80")
    assert {model.source_run_id for model in found} == set(runs)
    (first,) = (model for model in found if model.source_run_id == runs[0])
    assert {metric.key: metric.value for metric in first.metrics} == {
        "sts/STSB-dev": 88.0,  # at the step whose weights were exported
        "sts/STSB": 82.03,
        "sts/avg": 82.03,
    }
    data = {metric.key: (metric.dataset_name, metric.dataset_digest) for metric in first.metrics}
    assert data["sts/STSB"] == ("sts/STSB.parquet", "f" * 32) and data["sts/avg"] == (None, None)
    assert (
        first.params == {"seed": "0"}
        and first.tags["mlflow.modelVersions"] == '[{"name": "cse-encoder", "version": 1}]'
    )


def test_signature_and_example_are_what_the_model_takes_and_gives(runs: list[str]) -> None:
    import mlflow

    promote(MODEL, runs[0], report_markdown="")
    loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    (output,) = loaded.metadata.signature.outputs.inputs
    given = loaded.predict(loaded.input_example)
    assert (given.dtype, given.shape) == (output.type, (2, 32)) and output.shape == (-1, 32)


def test_an_mlflow_that_asks_for_a_model_gets_one(
    mlflow_store: str, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("components.tracking.encoder_model._Exported.modules")
    promote(MODEL, delivered(tmp_path / "a", tiny_encoder), report_markdown="")
    copy = local_copy(f"models:/{MODEL}@champion", tmp_path / "copy")
    assert (copy / "model.safetensors").read_bytes() == (tiny_encoder / "model.safetensors").read_bytes()


def removed_for_good(run_id: str, store: str) -> None:
    from mlflow.cli import gc

    connect().delete_run(run_id)
    done = CliRunner().invoke(gc, ["--backend-store-uri", store, "--tracking-uri", store, "--run-ids", run_id])
    assert done.exit_code == 0, done.output


def test_a_champion_whose_run_is_gone_is_one_sentence_with_the_way_on(mlflow_store: str, runs: list[str]) -> None:
    for run_id in runs[:2]:
        promote(MODEL, run_id, report_markdown="")
    removed_for_good(runs[1], mlflow_store)
    with pytest.raises(
        CseflowError, match=f"alias champion of {MODEL} leads to version 2, whose MLflow run {runs[1]} is gone"
    ):
        champion(MODEL)
    assert rollback(MODEL).run_id == runs[0] and champion(MODEL) is not None


def test_an_alias_set_by_hand_is_one_sentence(runs: list[str], tiny_encoder: Path) -> None:
    client = connect()
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, tiny_encoder.as_uri())
    client.set_registered_model_alias(MODEL, "champion", "1")
    with pytest.raises(
        CseflowError, match=r"leads to version 1, which no MLflow run made, .* go back with cseflow rollback"
    ):
        champion(MODEL)


def test_artifacts_that_are_gone_are_one_sentence(runs: list[str], tmp_path: Path) -> None:
    for run_id in runs[:2]:
        promote(MODEL, run_id, report_markdown="")
    shutil.rmtree(tmp_path / "mlartifacts")
    with pytest.raises(CseflowError, match=r"leads to version 2, .* keeps no scores/predictions.parquet"):
        champion(MODEL)
    with pytest.raises(CseflowError, match=f"files of models:/{MODEL}@champion are gone"):
        local_copy(f"models:/{MODEL}@champion", tmp_path / "copy")
    with pytest.raises(CseflowError, match="alias previous of cse-encoder leads to version 1, whose files are gone"):
        rollback(MODEL)
    assert aliases() == {"champion": "2", "previous": "1"}


def test_rolling_back_past_a_deleted_version_ends_there(runs: list[str]) -> None:
    for run_id in runs:
        promote(MODEL, run_id, report_markdown="")
    connect().delete_model_version(MODEL, "1")
    assert rollback(MODEL).version == "2" and aliases() == {"champion": "2"}


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
