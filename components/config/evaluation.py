"""Section `evaluation`: which tasks, and how geometry is sampled."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Section

StsTask = Literal["STS12", "STS13", "STS14", "STS15", "STS16", "STSB", "SICKR"]
TransferTask = Literal["MR", "CR", "SUBJ", "MPQA", "SST2", "TREC", "MRPC"]


Classifier = Literal["adam", "sklearn"]


class Geometry(Section):
    """Alignment and uniformity (Wang & Isola 2020) as NGCSE samples them; scores on STS-B's 0–5 scale.

    `samples` bounds the pairs that alignment is taken of, and the sentences that uniformity is; NGCSE takes 1,000.
    """

    samples: PositiveInt = 1000
    positive_score: Annotated[float, Field(ge=0, le=5)] = 4.0
    negative_score: Annotated[float, Field(ge=0, le=5)] = 1.0


class Evaluation(Section):
    """`sts` and `transfer` map a task to the entry of `sources` that holds it; STSB's dev split picks checkpoints.

    `transfer_classifier` is SentEval's: `adam`, as in the papers' tables, or `sklearn`, its L-BFGS with another grid.
    """

    sts: dict[StsTask, str]
    transfer: dict[TransferTask, str] = {}
    transfer_classifier: Classifier = "adam"
    batch_size: PositiveInt = 64
    geometry: Geometry = Geometry()

    @model_validator(mode="after")
    def _has_dev(self) -> Self:
        if "STSB" not in self.sts:
            raise ValueError("sts must name a source for STSB: its dev split picks checkpoints")
        return self


def metric_names(evaluation: Evaluation, terms: Iterable[str], sets: Iterable[str]) -> list[str]:
    """Every metric that a run may log: what is measured, and what training records of `terms` and sets of data."""
    tasks, transfer = list(evaluation.sts), list(evaluation.transfer)
    geometry = ("heldout", "heldout-pairs", "heldout-tuples", "stsb-dev")
    return [
        *(f"sts/{name}" for name in [*tasks, "STSB-dev", "avg"]),
        *(f"transfer/{name}" for name in ([*transfer, "transfer_avg"] if transfer else [])),
        *(f"geometry/{data}/{name}" for data in geometry for name in ("alignment", "uniformity")),
        *(f"{rfd}/{name}" for rfd in ("rfd", "rfd/pairs", "rfd/tuples") for name in ("alignment", "uniformity")),
        *(f"data/{name}/{count}" for name in sets for count in ("heldout", "passes")),
        *(f"length_bias/{task}/{name}" for task in tasks for name in ("near", "far", "gap")),
        *(f"train/{name}" for name in ("loss", "learning_rate", "gradient_norm", "progress", "best_step", *terms)),
    ]
