import json
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import CseflowError, DataError
from components.tracking.journal import JOURNAL, Journal, flatten, records


def kinds(folder: Path) -> list[str]:
    return [record["kind"] for record, _ in records(folder / JOURNAL)]


def points(folder: Path) -> list[tuple[str, int, float]]:
    return [
        (key, record["step"], value)
        for record, _ in records(folder / JOURNAL)
        if record["kind"] == "metrics"
        for key, value in record["values"].items()
    ]


def test_a_torn_last_line_is_cut_and_the_journal_goes_on(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.start("run", "test")
        journal.metrics({"loss": 1.0}, 1)
    with (tmp_path / JOURNAL).open("ab") as handle:
        handle.write(b'{"time": 1, "kind": "metr')
    with Journal(tmp_path) as journal:
        journal.metrics({"loss": 0.5}, 2)
    assert points(tmp_path) == [("loss", 1, 1.0), ("loss", 2, 0.5)]


def test_damage_before_the_last_line_is_an_error(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"\0\0\0\n{}\n")
    with pytest.raises(DataError, match="damaged"):
        Journal(tmp_path)


def test_a_resumed_training_does_not_record_its_steps_twice(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.start("run", "test")
        for step in (10, 20):
            journal.metrics({"loss": 1 / step}, step)
    with Journal(tmp_path) as journal:
        for step in (20, 30):
            journal.metrics({"loss": 1 / step, "rate": 0.0}, step)
    assert sorted(points(tmp_path)) == [
        ("loss", 10, 0.1),
        ("loss", 20, 0.05),
        ("loss", 30, 1 / 30),
        ("rate", 20, 0.0),
        ("rate", 30, 0.0),
    ]


def test_starting_again_records_changed_tags_only(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.start("run", "test", tags={"cse.variant": "simcse", "cse.prefect_flow_run": "a"})
        journal.start("run", "test", tags={"cse.variant": "simcse", "cse.prefect_flow_run": "b"})
    last = [record for record, _ in records(tmp_path / JOURNAL)][1:]
    assert [record["tags"] for record in last] == [{"cse.prefect_flow_run": "b"}]


def test_starting_an_ended_run_opens_it_again(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.start("run", "test")
        journal.finish("FAILED")
        journal.start("run", "test")
        assert journal.status is None
    assert kinds(tmp_path) == ["start", "finish", "resume"]


def test_recording_before_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CseflowError, match="not been started"):
        Journal(tmp_path).metrics({"loss": 1.0}, 1)


def test_paths_within_the_run_move_with_its_folder(tmp_path: Path) -> None:
    with Journal(tmp_path / "runs" / "a") as journal:
        journal.start("run", "test", parent=tmp_path / "runs" / "parent")
        journal.artifact(tmp_path / "runs" / "a" / "scores.json")
    start, artifact = (record for record, _ in records(tmp_path / "runs" / "a" / JOURNAL))
    assert (start["parent"], artifact["path"]) == ("../parent", "scores.json")


def test_nested_settings_become_flat_parameters() -> None:
    nested = {
        "training": {"lr": 1e-5, "epochs": 1},
        "margins": [0.1, 0.2],
        "objective": [{"term": "info_nce"}],
        "x": {},
    }
    assert flatten(nested) == {
        "training.lr": "1e-05",
        "training.epochs": "1",
        "margins": "[0.1, 0.2]",
        "objective.0.term": "info_nce",
        "x": "{}",
    }


def test_recording_does_not_import_mlflow() -> None:
    code = "import sys, components.tracking.journal, components.tracking.delivery; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_values_that_are_no_numbers_survive(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.start("run", "test")
        journal.metrics({"loss": float("nan")}, 1)
    line = (tmp_path / JOURNAL).read_text().splitlines()[1]
    assert json.loads(line)["values"]["loss"] != json.loads(line)["values"]["loss"]
