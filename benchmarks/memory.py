"""Memory of training on a million sentences: the peak of resident memory above the weights and AdamW's two moments.

A process of its own trains SimCSE with MiniLM-L6 on a plan over the whole million, for as many steps as show the peak.
All that it holds counts: interpreter, libraries, activations, gradients, and the pages of the memory-mapped sentences.
A second row leaves out what a process holds that has imported the same libraries and done nothing; a third counts all
again, with gradient caching.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Row, bounded, main
from benchmarks.sizes import cost_apart, write_identity
from components.paths import SOURCES, VIEWS

SENTENCES = 1_000_000
STEPS = 8
CACHE_ROWS = 16
GIB = 2**30
REPOSITORY = Path(__file__).parent.parent


def train(folder: Path, checkpoint: Path, steps: int, cache_rows: int | None = None) -> float:
    """Train a few steps in the project `folder`; seconds of the median step."""
    import torch
    from transformers import TrainerCallback

    from benchmarks.trainers import THREADS, Job, contrastive_trainer

    seconds: list[float] = []

    class Stop(TrainerCallback):
        """Ends the training after `steps` steps."""

        start = 0.0

        def on_step_begin(self, args, state, control, **_):  # type: ignore[no-untyped-def]
            self.start = time.perf_counter()

        def on_step_end(self, args, state, control, **_):  # type: ignore[no-untyped-def]
            seconds.append(time.perf_counter() - self.start)
            control.should_training_stop = state.global_step >= steps

    os.chdir(folder)
    torch.set_num_threads(THREADS)
    trainer = contrastive_trainer(Job(checkpoint, "cseflow", "fp32", cache_rows=cache_rows), None, Path("run"))
    trainer.add_callback(Stop())
    trainer.train()
    return statistics.median(seconds[2:])


def project(folder: Path, sentences: int) -> Path:
    """A project whose training split has so many sentences, made up; its held-out split has a few."""
    (folder / "params.yaml").symlink_to(REPOSITORY / "params.yaml")
    (folder / "profiles").symlink_to(REPOSITORY / "profiles")
    for split, rows in (("train", sentences), ("heldout", 1000)):
        write_identity(folder / VIEWS / split / "identity", rows)
    return folder


def weights_and_moments(checkpoint: Path) -> int:
    """Bytes of a checkpoint's weights and of AdamW's two moments, all float32."""
    from safetensors import safe_open

    with safe_open(checkpoint / "model.safetensors", "numpy") as stored:
        numbers = sum(int(stored.get_tensor(name).size) for name in stored.keys())  # noqa: SIM118
    return 3 * 4 * numbers


def libraries() -> None:
    """What training imports, and no more."""
    import benchmarks.trainers  # noqa: F401


def measure(quick: bool) -> Iterator[Row]:
    checkpoint = (SOURCES / "encoder").resolve()
    plain, cached, imported = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        project(Path(folder), SENTENCES // 10 if quick else SENTENCES)
        for _ in range(1 if quick else 3):
            plain.append(cost_apart(train, Path(folder), checkpoint, STEPS))
            cached.append(cost_apart(train, Path(folder), checkpoint, STEPS, CACHE_ROWS))
            imported.append(cost_apart(libraries).memory)
    own = weights_and_moments(checkpoint)
    claim = f"memory: training on {SENTENCES:,} sentences, above the model and optimiser"
    for ending, costs, left_out in (
        ("", plain, 0),
        (", libraries not counted", plain, statistics.median(imported)),
        (f", cache_rows: {CACHE_ROWS}", cached, 0),
    ):
        yield bounded(
            claim + ending,
            [(cost.memory - own - left_out) / GIB for cost in costs],
            unit="GiB",
            at_most=1.0,
            notes={
                "weights and moments, GiB": own / GIB,
                "interpreter and libraries, GiB": statistics.median(imported) / GIB,
                "batch": 64,
                "precision": "fp32",
                "seconds a step": statistics.median(cost.seconds for cost in costs),
            },
        )


if __name__ == "__main__":
    main(__doc__, measure)
