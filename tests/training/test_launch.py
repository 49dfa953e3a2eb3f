"""Training by torchrun: several processes end as one does, whatever happens to them on the way."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.config import load_params
from components.errors import CseflowError
from components.runs.run import Run
from components.training.checkpoints import marked_checkpoints
from components.training.job import Job
from components.training.launch import join, train_in_processes
from tests.project import REPOSITORY, make_project
from tests.tracking.server import free_port, until

pytestmark = pytest.mark.e2e
Curves = dict[str, list[tuple[int, float]]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """Its encoder has no dropout, whose masks would differ with the number of processes."""
    folder = make_project(tmp_path_factory.mktemp("launch") / "project", tiny_encoder)
    config = folder / "data/sources/encoder/config.json"
    without = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps(json.loads(config.read_text()) | without))
    return folder


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


@pytest.fixture(scope="module")
def known() -> Curves:
    return {}


@pytest.fixture
def alone(known: Curves) -> Curves:
    """What one process records."""
    if not known:
        known.update(run("alone"))
    return known


def run(folder: str, **overrides: object) -> Curves:
    points: Curves = {}

    def record(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            points.setdefault(name, []).append((step, value))

    settings = {"batch_size": 24, "precision": "fp32", "evaluation_steps": 4, **overrides}
    run = Run(load_params(), "cse-mix", 0, settings)
    train_in_processes(Job(spec=run.spec, layout=run.settings.training.layout), Path(folder), record)
    return points


def assert_same(found: Curves, expected: Curves) -> None:
    """Same losses, gradient norms and geometry; a random encoder's scores are too coarse."""
    assert found.keys() == expected.keys()
    for name in ("train/loss", "train/gradient_norm", "geometry/heldout/alignment", "geometry/heldout/uniformity"):
        assert found[name] == [(step, pytest.approx(value, abs=1e-3)) for step, value in expected[name]], name


def processes_of(folder: str) -> dict[str, list[int]]:
    """The pids of torchrun and of the training processes of the run in `folder`."""
    found: dict[str, list[int]] = {"components.training.launch": [], "components.training": []}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode().split("\0")
        except OSError:
            continue
        if folder in words and "components.training" in words:
            found[
                "components.training.launch" if "components.training.launch" in words else "components.training"
            ].append(int(entry.parent.name))
    return found


@contextmanager
def kill_after_a_checkpoint(folder: str, module: str) -> Iterator[None]:
    """Kill one process of `module` of the run in `folder` while the block trains."""

    def kill() -> None:
        until(lambda: bool(marked_checkpoints(Path(folder))), seconds=240)
        os.kill(processes_of(folder)[module][-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    yield
    killer.join()


def test_two_processes_end_as_one_does(alone: Curves) -> None:
    assert_same(run("two", processes=2), alone)
    assert Path("two/encoder/model.safetensors").exists()


def test_a_killed_process_ends_all_of_them() -> None:
    with (
        kill_after_a_checkpoint("killed", "components.training"),
        pytest.raises(CseflowError, match=r"training process [01] was killed"),
    ):
        run("killed", processes=2, epochs=100)
    until(lambda: not any(processes_of("killed").values()), every=0.2)


def test_a_killed_torchrun_goes_on_where_it_stopped(alone: Curves) -> None:
    with (
        kill_after_a_checkpoint("resumed", "components.training.launch"),
        pytest.raises(CseflowError, match="run it again"),
    ):
        run("resumed", processes=2)
    until(lambda: not any(processes_of("resumed").values()), every=0.2)
    points = run("resumed", processes=2)
    # Also of the steps before the kill, for whoever started them may have been killed too; some twice.
    assert_same({name: list(dict.fromkeys(values)) for name, values in points.items()}, alone)


def test_what_one_process_foresees_is_the_error_of_all() -> None:
    with pytest.raises(CseflowError, match=r"the loss is (nan|inf) at step"):
        run("diverging", processes=2, learning_rate=1e38)


def test_two_nodes_end_as_one_does(alone: Curves) -> None:
    def second_node() -> None:
        until(lambda: Path("nodes/job.json").exists())
        join(Path("nodes"))

    second = threading.Thread(target=second_node)
    second.start()
    points = run("nodes", nodes=2, rendezvous=f"127.0.0.1:{free_port()}")
    second.join()
    assert_same(points, alone)
