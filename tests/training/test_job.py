"""What training processes recorded arrives, though the process that was to pass it on was killed."""

import json
from pathlib import Path

import pytest

from components.config import load_params
from components.runs.run import Run
from components.training.job import METRICS, Job, MetricsFile, MetricsReader
from components.training.launch import train_in_processes

Points = list[tuple[int, dict[str, float]]]


def passed_on(job: Job, folder: Path) -> Points:
    points: Points = []
    train_in_processes(job, folder, lambda values, step: points.append((step, dict(values))))
    return points


@pytest.fixture
def job(miniature: Path) -> Job:
    run = Run(load_params(), "simcse", 0, {"processes": 2})
    return Job(spec=run.spec, layout=run.settings.training.layout)


def test_points_of_a_finished_training_that_nobody_passed_on_arrive(job: Job, tmp_path: Path) -> None:
    job.write(tmp_path)
    MetricsFile(tmp_path)({"train/loss": 1.5}, 5)
    summary = {"best_step": 5, "dev_score": 80.0, "steps": 5, "seconds": 1.0}
    (tmp_path / "training.json").write_text(json.dumps(summary))
    assert passed_on(job, tmp_path) == [(5, {"train/loss": 1.5})]


def test_points_outlive_the_next_start_and_a_torn_line_does_not(job: Job, tmp_path: Path) -> None:
    points: Points = []
    job.write(tmp_path)
    MetricsFile(tmp_path)({"train/loss": 1.5}, 5)
    with (tmp_path / METRICS).open("ab") as file:
        file.write(b'{"values": {"tr')
    reader = MetricsReader(tmp_path, lambda values, step: points.append((step, dict(values))))
    reader.pass_on()
    job.write(tmp_path)
    MetricsFile(tmp_path)({"train/loss": 1.25}, 10)
    reader.pass_on()
    assert points == [(5, {"train/loss": 1.5}), (10, {"train/loss": 1.25})]
