"""A training run from its folder's point of view: what it leaves, and what a kill or a bad loss does to it."""

import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from components.config import Params, load_params, variant_settings
from components.training.run import train
from components.training.trainer import DivergedError
from tests.processes import start
from tests.project import make_project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(make_project(tmp_path, tiny_encoder))
    return tmp_path


GATHERING = {
    "set": "tuples/sts",
    "gather": 12,
    "roles": {"anchor": "anchor", "positive": "intermediate", "levels": ["positive", "intermediate", "negative"]},
}


def run(variant: str, folder: str, **overrides: object) -> tuple[dict[str, list[tuple[int, float]]], Path]:
    points: dict[str, list[tuple[int, float]]] = {}

    def record(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            points.setdefault(name, []).append((step, value))

    params = load_params()
    if variant == "gathering":  # batches of 5 to 20 rows
        raw = params.model_dump()
        raw["variants"][variant] = raw["variants"]["ngcse-sts-ht"]
        raw["variants"][variant]["data"][1] = GATHERING
        params = Params.model_validate(raw)
        overrides |= {"drop_last": False}
    train(params, variant_settings(params, variant, overrides), 0, Path(folder), record)
    return points, Path(folder)


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "encoder" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


def test_training_changes_the_weights(project: Path) -> None:
    _, trained = run("simcse", "trained")
    _, untrained = run("untrained", "untrained")
    assert not same(trained, untrained)


def test_the_same_seed_gives_the_same_weights(project: Path) -> None:
    assert same(run("simcse", "one")[1], run("simcse", "two")[1])


def test_every_evaluation_step_is_recorded(project: Path) -> None:
    points, _ = run("simcse", "run")
    assert [step for step, _ in points["geometry/heldout/alignment"]] == [0, 2, 4, 6, 8]


def test_passes_and_held_out_rows_are_recorded_by_set(project: Path) -> None:
    points, _ = run("ngcse-sts", "run", batch_size=24)
    recorded = {name: values for name, values in points.items() if name.startswith("data/")}
    assert recorded.keys() == {"data/corpus/passes", "data/tuples/sts/passes", "data/tuples/sts/heldout"}
    assert recorded["data/tuples/sts/heldout"] == [(0, 6.0)]


def test_rows_that_are_seen_too_often_are_warned_of(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    points, _ = run("simcse", "run", sentences=8, epochs=11, evaluation_steps=100)
    assert "corpus: THE SAME ROWS ARE SEEN UP TO 11 TIMES" in caplog.text
    assert points["data/corpus/passes"] == [(0, 11.0)]


def test_geometry_is_measured_with_dropout(project: Path) -> None:
    points, _ = run("untrained", "run")
    assert points["geometry/heldout/alignment"][0][1] > 0


def test_checkpoints_are_gone_after_training(project: Path) -> None:
    _, folder = run("simcse", "run")
    assert not list(folder.glob("checkpoint-*"))


def test_checkpoints_that_a_kill_left_of_a_finished_training_go_with_the_next_call(project: Path) -> None:
    _, folder = run("untrained", "run")
    (folder / "checkpoint-4").mkdir()
    for name in ("complete", "optimizer.pt"):
        (folder / "checkpoint-4" / name).touch()
    run("untrained", "run")
    assert not list(folder.glob("checkpoint-*"))


def test_a_diverged_training_names_step_and_remedy(project: Path) -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d+; lower training.learning_rate"):
        run("simcse", "run", learning_rate=1e38)


@pytest.mark.parametrize("variant", ["simcse", "esimcse", "gathering"])
def test_killed_and_resumed_gives_the_weights_of_an_uninterrupted_run(project: Path, variant: str) -> None:
    whole = run(variant, "whole")[1]
    kill_at_checkpoint(variant, "killed", step=4)
    assert not (Path("killed") / "training.json").exists()
    assert same(run(variant, "killed")[1], whole)


def test_a_half_written_checkpoint_is_not_resumed_from(project: Path) -> None:
    whole = run("simcse", "whole")[1]
    kill_at_checkpoint("simcse", "killed", step=4)
    newest = max(Path("killed").glob("checkpoint-*"), key=lambda path: int(path.name.removeprefix("checkpoint-")))
    (newest / "complete").unlink(missing_ok=True)  # it may be the next one, which the kill cut off
    (newest / "model.safetensors").write_bytes(b"half")
    assert same(run("simcse", "killed")[1], whole)


def kill_at_checkpoint(variant: str, folder: str, step: int) -> None:
    """Train in a process of its own and kill -9 it as soon as the checkpoint of `step` is complete."""
    process = start(Path.cwd(), run, variant, folder)
    deadline = time.monotonic() + 120
    while not (Path(folder) / f"checkpoint-{step}" / "complete").exists():
        assert process.is_alive(), "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.join()
