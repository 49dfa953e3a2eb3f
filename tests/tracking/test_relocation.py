import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from components.tracking.delivery import deliver, pending
from components.tracking.journal import Journal
from components.tracking.registry import local_copy, promote
from components.tracking.relocation import relocate
from components.tracking.runs import find_finished
from components.tracking.store import connect


@pytest.fixture
def project(_empty_store: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space in its name, in which a champion was made; the working folder."""
    old = tmp_path / "the old"
    old.mkdir()
    shutil.copy(_empty_store, old / "mlflow.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(old)
    promote("cse-encoder", recorded("a", tiny_encoder), report_markdown="")
    return old


def recorded(name: str, encoder: Path) -> str:
    """The id of a delivered run of the working folder, with an artifact and an encoder."""
    with Journal(Path("runs", name)) as journal:
        journal.start(name, "test", tags={"cse.fingerprint": name})
        Path("runs", name, "scores.json").write_text(name)
        journal.artifact(Path("runs", name, "scores.json"))
        journal.model(encoder)
        journal.finish()
    return str(deliver(Path("runs", name)).run_id)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def told(database: Path) -> str:
    """All that the store says, as SQL."""
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump())


def test_a_moved_project_finds_its_champion_and_writes_in_its_new_place(
    project: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = project.rename(project.with_name("the new"))
    monkeypatch.chdir(new)
    copy = local_copy("models:/cse-encoder@champion", new / "copy")
    assert (copy / "model.safetensors").read_bytes() == (tiny_encoder / "model.safetensors").read_bytes()
    recorded("b", tiny_encoder)
    assert not project.exists()
    assert "the old" not in told(new / "mlflow.db").replace("%20", " ")


def test_mlflow_alone_loads_the_champion_of_a_moved_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    new = project.rename(project.with_name("the new"))
    monkeypatch.chdir(new)
    relocate(new / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{new}/mlflow.db")
    assert mlflow.sentence_transformers.load_model("models:/cse-encoder@champion").encode("A cat.").shape == (32,)


def test_a_copy_never_writes_into_the_original(
    project: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(project, project.with_name("copy")))
    before = files(project)
    monkeypatch.chdir(copy)
    recorded("b", tiny_encoder)
    assert "the old" not in told(copy / "mlflow.db").replace("%20", " ")
    assert files(project) == before


def test_what_was_delivered_before_the_move_is_not_sent_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = find_finished("test", "a")
    new = project.rename(project.with_name("the new"))
    monkeypatch.chdir(new)
    shutil.rmtree(new / "runs/a/.mlflow-model", ignore_errors=True)
    model = next((new / "mlartifacts").rglob("model.safetensors"))
    written = model.stat().st_mtime_ns
    assert deliver("runs/a").run_id == run_id and model.stat().st_mtime_ns == written
    assert pending("runs") == []


def test_a_data_base_copied_alone_reads_there_and_writes_here(
    project: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = project.with_name("alone")
    alone.mkdir()
    shutil.copy(project / "mlflow.db", alone)
    before = files(project)
    monkeypatch.chdir(alone)
    local_copy("models:/cse-encoder@champion", alone / "copy")
    run_id = recorded("b", tiny_encoder)
    assert connect().get_run(run_id).info.artifact_uri.startswith(alone.as_uri())
    assert files(project) == before


def test_a_store_without_a_record_is_known_by_its_mlartifacts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(project / "mlflow.db")) as connection:
        connection.execute("DROP TABLE cseflow_root")
    new = project.rename(project.with_name("the new"))
    monkeypatch.chdir(new)
    local_copy("models:/cse-encoder@champion", new / "copy")
    assert "the old/mlartifacts" not in told(new / "mlflow.db").replace("%20", " ")


def test_the_same_folder_by_another_name_is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = project.with_name("link")
    link.symlink_to(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{link}/mlflow.db")
    connect()
    assert "the%20old/mlartifacts" in told(project / "mlflow.db")


def test_a_store_elsewhere_by_intent_is_left_alone(project: Path, tmp_path: Path) -> None:
    client = connect()
    client.create_experiment("elsewhere", artifact_location=(tmp_path / "big disk").as_uri())
    new = project.rename(project.with_name("the new"))
    relocate(new / "mlflow.db")
    assert f"{tmp_path.as_uri()}/big%20disk" in told(new / "mlflow.db")
