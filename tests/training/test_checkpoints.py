"""What became of a checkpoint while nothing ran: cut, overwritten, or put there by somebody else."""

import logging
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from components.config import load_params, variant_settings
from components.errors import DataError
from components.training import checkpoints
from components.training.run import train

pytestmark = pytest.mark.slow

FOUR_STEPS = {"batch_size": 8, "sentences": 32, "epochs": 1, "evaluation_steps": 1, "precision": "fp32"}


class Killed(Exception):
    """Ends a training from within."""


def run(folder: Path, *, killed_at: int | None = None) -> dict[str, np.ndarray]:
    """The exported weights, {} where it was killed."""

    def record(values: dict[str, float], step: int) -> None:
        if step == killed_at:
            raise Killed

    params = load_params()
    try:
        train(params, variant_settings(params, "esimcse", FOUR_STEPS), 0, folder, record)
    except Killed:
        return {}
    return load_file(folder / "encoder" / "model.safetensors")


@pytest.fixture(scope="module")
def interrupted(_miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A run's folder that a kill in the fourth step left, and the weights of the same run without a kill."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(_miniature)
        run(folder / "killed", killed_at=4)
        return folder / "killed", run(folder / "whole")


@pytest.fixture
def broken(miniature: Path, tmp_path: Path, interrupted: tuple[Path, dict[str, np.ndarray]]) -> Path:
    """A copy of the interrupted run, to break."""
    return shutil.copytree(interrupted[0], tmp_path / "run")


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def zeroed(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("optimizer.pt", cut),
        ("model.safetensors", zeroed),
        ("trainer_state.json", emptied),
        ("rng_state.pth", cut),
        ("scheduler.pt", Path.unlink),
        ("complete", emptied),
    ],
)
def test_a_broken_checkpoint_is_named_and_the_one_before_it_used(
    broken: Path,
    interrupted: tuple[Path, dict[str, np.ndarray]],
    caplog: pytest.LogCaptureFixture,
    name: str,
    harm: Callable[[Path], None],
) -> None:
    harm(broken / "checkpoint-3" / name)
    with caplog.at_level(logging.WARNING, "components.training.checkpoints"):
        assert [path.name for path in checkpoints.complete_checkpoints(broken)][-1] == "checkpoint-2"
    assert "checkpoint-3 is broken" in caplog.text and name in caplog.text
    assert same(run(broken), interrupted[1])


def test_a_checkpoint_whose_best_is_broken_is_not_gone_on_from(broken: Path) -> None:
    best = checkpoints.best_checkpoint(broken / "checkpoint-3")
    zeroed(best / "model.safetensors")
    for path in checkpoints.complete_checkpoints(broken):
        assert checkpoints.best_checkpoint(path) != best


def test_with_every_checkpoint_broken_training_starts_anew(
    broken: Path, interrupted: tuple[Path, dict[str, np.ndarray]]
) -> None:
    for path in broken.glob("checkpoint-*/optimizer.pt"):
        cut(path)
    assert same(run(broken), interrupted[1])


def test_files_are_on_the_disk_before_the_mark_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, synced = tmp_path / "checkpoint-1", []
    folder.mkdir()
    for name in ("model.safetensors", "trainer_state.json"):
        (folder / name).write_text("{}")
    plain = os.fsync

    def fsync(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, (folder / "complete").exists()))
        plain(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    checkpoints.mark_complete(folder)
    assert {("model.safetensors", False), ("trainer_state.json", False), ("checkpoint-1", False)} <= set(synced)


class Spoor:
    """What unpickling it does is seen from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_code_in_a_checkpoint_is_not_run(broken: Path, tmp_path: Path, name: str) -> None:
    checkpoint = broken / "checkpoint-3"
    (checkpoint / name).write_bytes(pickle.dumps(Spoor(tmp_path / "run-by-pickle")))
    checkpoints.mark_complete(checkpoint)  # as one who can write here would
    with pytest.raises(DataError, match=r"checkpoint-3 is no checkpoint of a training \(.*remove the folder"):
        run(broken)
    assert not (tmp_path / "run-by-pickle").exists()


def test_nothing_but_what_resuming_needs_is_kept(broken: Path) -> None:
    assert {path.name for path in (broken / "checkpoint-3").iterdir()} == {
        *("complete", "model.safetensors", "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json")
    }
