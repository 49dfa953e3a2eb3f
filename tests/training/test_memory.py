"""What a training leaves in the memory of the process that did it."""

import gc
from pathlib import Path

import pytest

from components.config import load_params
from components.runs.run import Run
from components.training.job import Job
from components.training.launch import train_in_processes
from components.training.model import ContrastiveModel

pytestmark = pytest.mark.slow


def test_a_training_leaves_neither_model_nor_optimiser_behind(miniature: Path, tmp_path: Path) -> None:
    run = Run(load_params(), "simcse", 0, {})
    gc.disable()  # what it leaves must not be chance
    try:
        job = Job(spec=run.spec, layout=run.settings.training.layout)
        train_in_processes(job, tmp_path / "run", lambda values, step: None)
        assert not [each for each in gc.get_objects() if isinstance(each, ContrastiveModel)]
    finally:
        gc.enable()
