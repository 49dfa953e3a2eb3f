"""Two trainers side by side, each in a process of its own; one of them runs at a time, for a few steps, in turns.

Both train SimCSE's dropout pairs on the same sentences, cut to the same length, from the same checkpoint, with AdamW,
the same learning rate falling to 0 and the same temperature; at the end each is scored on STS-B dev, if it is at hand.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from benchmarks.harness import Sample, interleaved
from components.augmentation.tokens import Tokens
from components.config import load_params, variant_settings
from components.config.training import Precision
from components.encoder.model import SentenceEncoder
from components.errors import CseflowError
from components.training.collate import Collator
from components.training.model import ContrastiveModel
from components.training.plan import Plan, batch_plan
from components.training.rows import StoredColumn, load_part, view_folder
from components.training.run import CPU_ROWS
from components.training.trace import Trace
from components.training.trainer import ContrastiveTrainer

LENGTH = 32
THREADS = 2
LEARNING_RATE = 1e-5
TEMPERATURE = 0.05
WARM_UP = 1  # blocks of steps that do not count


class Job(NamedTuple):
    """`side` is peer or cseflow, `precision` fp32 or bf16; `cache_rows` is that of section `training`, cseflow's."""

    checkpoint: Path
    side: str
    precision: Precision
    batch: int = 64
    cache_rows: int | None = None


class Raced(NamedTuple):
    """Samples of every job; dev scores (×100) of what they trained; operations that one sentence's two views need."""

    samples: dict[str, list[Sample]]
    scores: dict[str, float]
    operations: float
    tokens: float  # of a sentence, special ones included


class Ended(NamedTuple):
    """A worker's last message."""

    score: float
    operations: float
    tokens: float


def race(jobs: Mapping[str, Job], *, steps: int, rounds: int) -> Raced:
    """Let the jobs take turns of `steps` steps, `rounds` of which count, until each has trained to its end."""
    spawn = multiprocessing.get_context("spawn")
    workers = {}
    for name, job in jobs.items():
        mine, theirs = spawn.Pipe()
        process = spawn.Process(target=_work, args=(job, steps, steps * (rounds + WARM_UP), theirs), daemon=True)
        process.start()
        theirs.close()
        workers[name] = (process, mine)

    def turn(name: str) -> Sample:
        connection = workers[name][1]
        connection.send("go")
        return Sample(steps * jobs[name].batch, _received(connection, name))

    try:
        for name, (_, connection) in workers.items():
            _received(connection, name)  # ready
        samples = interleaved({name: _turner(turn, name) for name in jobs}, rounds=rounds, warm_up=WARM_UP)
        ended: dict[str, Ended] = {name: _received(connection, name) for name, (_, connection) in workers.items()}
    finally:
        for process, _ in workers.values():
            process.terminate()
            process.join()
    first = next(iter(ended.values()))
    return Raced(samples, {name: end.score for name, end in ended.items()}, first.operations, first.tokens)


def _turner(turn: Any, name: str) -> Any:
    return lambda: turn(name)


def _received(connection: Connection, name: str) -> Any:
    try:
        return connection.recv()
    except EOFError:
        raise CseflowError(f"the trainer {name} ended before its time; what it said of it stands above") from None


class Baton(TrainerCallback):
    """Waits for its turn before every block of `steps` steps, and tells the block's seconds after it."""

    def __init__(self, connection: Connection, steps: int) -> None:
        self._connection, self._steps, self._start = connection, steps, 0.0

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step % self._steps == 0:
            if state.global_step == 0:
                self._connection.send("ready")
            self._connection.recv()
            self._start = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step % self._steps == 0:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self._connection.send(time.perf_counter() - self._start)


def _work(job: Job, steps: int, total: int, connection: Connection) -> None:
    torch.set_num_threads(THREADS)
    baton = Baton(connection, steps)
    with tempfile.TemporaryDirectory() as folder:
        connection.send((_ours if job.side == "cseflow" else _peer)(job, total, baton, Path(folder)))


def _rows(job: Job, total: int) -> np.ndarray:
    """The sentences of the training: rows of the corpus, (total, batch), drawn anew where it has not enough."""
    import pyarrow.parquet as pq

    from components.paths import CORPUS

    available = pq.read_metadata(CORPUS / "train.parquet").num_rows
    generator = np.random.default_rng(0)
    rounds = -(-total * job.batch // available)
    return np.concatenate([generator.permutation(available) for _ in range(rounds)])[: total * job.batch].reshape(
        total, job.batch
    )


def _peer(job: Job, total: int, baton: Baton, folder: Path) -> Ended:
    import pyarrow.parquet as pq
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from components.paths import CORPUS

    model = SentenceTransformer(
        str(job.checkpoint), device="cuda" if torch.cuda.is_available() else "cpu", trust_remote_code=False
    )
    usual = model.max_seq_length
    model.max_seq_length = LENGTH
    texts = pq.read_table(CORPUS / "train.parquet")["text"].take(_rows(job, total).ravel()).to_pylist()
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=total,
        per_device_train_batch_size=job.batch,
        learning_rate=LEARNING_RATE,
        bf16=job.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model,
        arguments,
        train_dataset=Dataset.from_dict({"anchor": texts, "positive": texts}),
        loss=MultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE),
        callbacks=[baton],
    )
    with _quiet():
        trainer.train()
    model.max_seq_length = usual
    lengths = [len(ids) for ids in model.tokenizer(texts[:2000], truncation=True, max_length=LENGTH).input_ids]
    return Ended(_score(model.encode), _operations(model[0].auto_model, lengths), float(np.mean(lengths)))


def _ours(job: Job, total: int, baton: Baton, folder: Path) -> Ended:
    rows = _rows(job, total)
    trainer = contrastive_trainer(job, list(np.stack([np.zeros_like(rows), rows], axis=-1)), folder)
    trainer.add_callback(baton)
    with _quiet():
        trainer.train()
    encoder = trainer.accelerator.unwrap_model(trainer.model).encoder.eval()
    tokens = StoredColumn(view_folder("identity", "train"), "identity").take(rows.ravel()[:2000])
    lengths = [len(encoder.anchor_template.wrap(ids)) for ids in tokens if ids is not None]
    return Ended(_score(encoder.encode), _operations(encoder.transformer, lengths), float(np.mean(lengths)))


class NoTrace(Trace):
    """What is measured along the way is no part of a claim of speed."""

    def __init__(self) -> None:
        self.dev_score = "sts/STSB-dev"

    def measure(self, encoder: SentenceEncoder) -> dict[str, float]:
        """Nothing, by the name that picks checkpoints."""
        return {self.dev_score: 0.0}


def contrastive_trainer(job: Job, plan: Plan | None, folder: Path) -> ContrastiveTrainer:
    """Our trainer of `simcse` in params.yaml, put together as `components.training.run` does.

    Args:
        plan: of each step its (part, row) pairs; None: an epoch of all rows there are.
        folder: for checkpoints.
    """
    params = load_params()
    changes = {"precision": job.precision, "evaluation_steps": 10**6, "learning_rate": LEARNING_RATE}
    settings = variant_settings(params, "simcse", changes | {"batch_size": job.batch, "sentences": None})
    encoder = SentenceEncoder.load(job.checkpoint, settings.encoder)
    parts = [load_part(part, _no_text, seed=0) for part in settings.variant.parts(params.augmentation.identity)]
    if plan is None:
        plan = batch_plan([part.part for part in parts], [part.rows for part in parts], settings.training, 0)
    return ContrastiveTrainer(
        ContrastiveModel(encoder, settings.variant, job.batch, cached=job.cache_rows is not None),
        plan=plan,
        collator=Collator(parts, encoder, rows=job.cache_rows or (None if torch.cuda.is_available() else CPU_ROWS)),
        trace=NoTrace(),
        training=settings.training.recipe(job.precision),
        folder=folder,
        seed=0,
        record=lambda values, step: None,
    )


def _no_text(texts: Sequence[str]) -> Tokens:
    raise CseflowError("the variant's sentences are all tokenised already")


def _operations(transformer: Any, lengths: list[int]) -> float:
    """Of one step, a sentence: two views, forward and twice as much backward; padding not counted.

    2 operations a token and weight of a linear layer; 4 · length² · dim for attention's two products.
    """
    config = transformer.config
    weights = sum(layer.weight.numel() for layer in transformer.encoder.modules() if isinstance(layer, torch.nn.Linear))
    attention = 4 * config.num_hidden_layers * config.hidden_size * float(np.mean(np.square(lengths)))
    return 2 * 3 * (2 * weights * float(np.mean(lengths)) + attention)


def _score(encode: Any) -> float:
    from components.config.evaluation import STSB_DEV
    from components.evaluation.sts import evaluate_sts
    from components.evaluation.sts_data import load_sts
    from components.paths import STS

    if not (STS / f"{STSB_DEV}.parquet").exists():
        return float("nan")
    return evaluate_sts(lambda texts: encode(texts, batch_size=64), {STSB_DEV: load_sts(STSB_DEV)}).scores[STSB_DEV]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the trainers' own lines on standard output."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        yield
