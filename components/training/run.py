"""One training run in a folder of its own: prepared, trained, resumed, exported."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_model
from transformers import set_seed
from transformers.trainer_utils import TrainOutput

from components import paths
from components.augmentation.tokens import tokenise
from components.config import Params, VariantSettings
from components.config.training import Layout
from components.encoder.export import export
from components.encoder.model import SentenceEncoder
from components.encoder.pretrained import load_language_head
from components.errors import DataError
from components.evaluation.sts_data import load_sts
from components.files import written_whole
from components.spec import RunSettings
from components.training import checkpoints
from components.training.collate import Collator, References
from components.training.inspection import require_encoder, require_tokens, warn_of_cuts
from components.training.model import ContrastiveModel
from components.training.names import ENCODER
from components.training.plan import Plan, passes, plan_batches
from components.training.references import part_references
from components.training.rows import PartRows, load_part
from components.training.trace import Trace
from components.training.trainer import ContrastiveTrainer, Record

log = logging.getLogger(__name__)
SUMMARY = "training.json"  # written last
MANY_LEFT_OUT = 0.01  # of all rows, above which a warning is due
MANY_PASSES = 10  # over one row, above which a warning is due; NGCSE: 1 to 3
# On a CPU a padding token costs what any other does, so texts of like length share a tensor; a GPU is fuller with one.
CPU_ROWS = 64


@dataclass(frozen=True)
class TrainingSummary:
    """The step whose weights were exported, its dev score (×100), steps in all, seconds."""

    best_step: int
    dev_score: float
    steps: int
    seconds: float


def train_run(spec: RunSettings, layout: Layout, folder: Path, record: Record) -> TrainingSummary:
    """Train a variant in `folder`, or go on where a killed call stopped; the best step by the dev task is exported.

    `record` is given every metric as it arises; a resumed run may give a step's again, with the same values. Called in
    each process of a torchrun, they share out every batch, and the first alone records and writes.

    Args:
        spec: what is trained.
        layout: how it is laid out over processes and memory.
        folder: checkpoints while it trains; afterwards `encoder/`, a sentence-transformers folder, and training.json.

    Raises:
        ConfigError: the encoder does not fit the variant or its data, or a batch can't be shared out evenly among the
            processes.
        DataError: data are missing or broken.
        DivergedError: the loss is no longer finite.
    """
    finished = folder / SUMMARY
    if finished.is_file():
        checkpoints.discard(folder, keep=[])  # a killed call may not have come to it
        return TrainingSummary(**json.loads(finished.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    set_seed(spec.seed)
    encoder = SentenceEncoder.load(paths.SOURCES / spec.encoder.source, spec.encoder)
    require_encoder(encoder, spec)
    if any(part.set == "corpus" for part in spec.parts):
        require_tokens(encoder, spec)
    parts = [
        load_part(
            part,
            lambda texts: tokenise(texts, encoder.tokenizer, spec.tokens.max_length),
            seed=spec.data_seed,
            views=Path(spec.tokens.views),
        )
        for part in spec.parts
    ]
    warn_of_cuts(encoder, parts)
    dev = load_sts(spec.evaluation.dev)
    trace = Trace(encoder, parts, dev, spec.evaluation, training=spec.training, seed=spec.data_seed)
    if spec.variant.objective:
        summary = _optimise(encoder, parts, trace, spec, layout, folder, record)
    else:
        metrics = trace.measure(encoder.to("cuda" if torch.cuda.is_available() else "cpu"))
        record(metrics | _heldout(trace), 0)
        summary = TrainingSummary(best_step=0, dev_score=metrics[trace.dev_score], steps=0, seconds=0.0)
    if dist.is_available() and dist.is_initialized() and dist.get_rank() > 0:
        return summary  # the first process writes
    export(encoder, folder / ENCODER)
    with written_whole(finished) as aside:
        aside.write_text(json.dumps(summary.__dict__, indent=2))
    checkpoints.discard(folder, keep=[])
    return summary


def train(params: Params, settings: VariantSettings, seed: int, folder: Path, record: Record) -> TrainingSummary:
    """`train_run` of a variant's settings, in this process: for notebooks, and data that DVC knows nothing of."""
    return train_run(RunSettings.of(params, settings, seed), settings.training.layout, folder, record)


def _optimise(
    encoder: SentenceEncoder,
    parts: list[PartRows],
    trace: Trace,
    spec: RunSettings,
    layout: Layout,
    folder: Path,
    record: Record,
) -> TrainingSummary:
    training = spec.training
    composed = [part.part for part in parts]
    rows, texts = [part.rows for part in parts], [part.texts for part in parts]
    plan, moved, left_out = plan_batches(composed, rows, training, spec.seed, texts)
    references, reference_dim = _references(spec, parts, plan)
    model = ContrastiveModel(
        encoder,
        spec.variant,
        training.batch_size,
        cached=layout.cache_rows is not None,
        language_head=load_language_head(paths.SOURCES / spec.encoder.source) if spec.variant.mlm else None,
        reference_dim=reference_dim,
    )
    trainer = ContrastiveTrainer(
        model,
        plan=plan,
        collator=Collator(
            parts,
            encoder,
            rows=_rows_per_tensor(layout),
            triplets_apart=spec.variant.triplets_apart,
            references=references,
        ),
        trace=trace,
        training=training,
        folder=folder,
        seed=spec.seed,
        record=record,
    )
    if trainer.is_world_process_zero():
        seen = passes(plan, composed)
        _warn_of_passes(seen)
        if moved or left_out:
            log.info("a text stood twice in a batch: %d rows moved to another, %d left out of theirs", moved, left_out)
        if left_out > MANY_LEFT_OUT * sum(map(len, plan)):
            log.warning(
                "%d rows are left out of their batch, since their texts stand in every batch of the epoch: a text is "
                "its own negative there; lower training.batch_size, or leave repeated texts out of the set",
                left_out,
            )
        record(_heldout(trace) | {f"data/{name}/passes": float(times) for name, times in seen.items()}, 0)
    usable = checkpoints.complete_checkpoints(folder)
    trainer.accelerator.wait_for_everyone()  # for every process to have looked, before any is removed
    if trainer.is_world_process_zero():
        checkpoints.discard(folder, keep=usable)
    result = _trained(trainer, usable[-1] if usable else None)
    trainer.accelerator.wait_for_everyone()  # for the first process to have written the last checkpoint
    best_step, dev_score = trainer.state.best_global_step, trainer.state.best_metric
    assert best_step is not None and dev_score is not None  # every training ends with an evaluation
    load_model(model, folder / f"checkpoint-{best_step}" / checkpoints.WEIGHTS, device=str(encoder.device))
    trainer.accelerator.wait_for_everyone()  # for every process to have read it, before it is removed
    return TrainingSummary(
        best_step=best_step,
        dev_score=dev_score,
        steps=trainer.state.global_step,
        seconds=float(result.metrics["train_runtime"]),
    )


def _references(spec: RunSettings, parts: list[PartRows], plan: Plan) -> tuple[list[References], int]:
    """For each part the embeddings of the encoder that tells false negatives, and their dim; none where none does."""
    if spec.variant.false_negatives is None:
        return [], 0
    folder, drawn = paths.SOURCES / spec.variant.false_negatives.reference, np.concatenate(list(plan))
    found = [part_references(part, drawn[drawn[:, 0] == number, 1], folder) for number, part in enumerate(parts)]
    return [references for references, _ in found], found[0][1]


def _warn_of_passes(seen: dict[str, int]) -> None:
    for name, times in seen.items():
        if times > MANY_PASSES:
            log.warning(
                "%s: THE SAME ROWS ARE SEEN UP TO %d TIMES in this training, so that it learns them by heart; lower "
                "`rows` of the part or training.epochs, set `gather` to have each row once an epoch, or make more rows",
                name,
                times,
            )


def _heldout(trace: Trace) -> dict[str, float]:
    """Which sets the geometry of held-out training data is taken of, by how many rows."""
    return {f"data/{name}/heldout": float(rows) for name, rows in trace.heldout.items()}


def _trained(trainer: ContrastiveTrainer, checkpoint: Path | None) -> TrainOutput:
    """Train on from `checkpoint`, or from the start.

    Raises:
        DataError: the checkpoint holds something else than tensors and numbers. Nothing of it is run: transformers
            reads optimiser, scheduler and random states by torch's loader of plain data.
    """
    try:
        return trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except UnpicklingError as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{checkpoint} is no checkpoint of a training ({reason}); remove the folder") from None


def _rows_per_tensor(layout: Layout) -> int | None:
    bounds = [layout.cache_rows, None if torch.cuda.is_available() else CPU_ROWS]
    return min((bound for bound in bounds if bound is not None), default=None)
