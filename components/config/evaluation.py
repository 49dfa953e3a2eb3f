"""Section `evaluation`: which tasks, which of them picks checkpoints, and how geometry is sampled."""

from collections.abc import Iterable
from itertools import combinations
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Name, Section
from components.config.tables import Place, Table

StsTask = Literal["STS12", "STS13", "STS14", "STS15", "STS16", "STSB", "SICKR"]
TransferTask = Literal["MR", "CR", "SUBJ", "MPQA", "SST2", "TREC", "MRPC"]
STSB_DEV = "STSB-dev"  # STS-B's dev split
HELDOUT = ("heldout", "heldout-pairs", "heldout-tuples")  # data whose geometry is measured beside the dev task's
RESERVED = {
    name.casefold() for name in (*get_args(StsTask), *get_args(TransferTask), STSB_DEV, "STSB-train", "avg", *HELDOUT)
}

Classifier = Literal["adam", "sklearn"]


class Geometry(Section):
    """Alignment and uniformity (Wang & Isola 2020) as NGCSE samples them; scores on STS-B's 0–5 scale.

    `samples` bounds the pairs that alignment is taken of, and the sentences that uniformity is; NGCSE takes 1,000.
    """

    samples: PositiveInt = 1000
    positive_score: Annotated[float, Field(ge=0, le=5)] = 4.0
    negative_score: Annotated[float, Field(ge=0, le=5)] = 1.0


class ScoredPairs(Table):
    """An STS-like task: two texts and how alike they are. `scale` is the lowest and the highest score that there may
    be; scores are mapped linearly onto 0 to 5, which changes no correlation.
    """

    columns: dict[Literal["first", "second", "score"], Place]
    scale: Annotated[list[float], Field(min_length=2, max_length=2)] = [0.0, 5.0]

    @model_validator(mode="after")
    def _scored(self) -> Self:
        for role in ("first", "second", "score"):
            if role not in self.columns:
                raise ValueError(f"columns: name the column of the {role}")
        if len(set(self.columns.values())) < len(self.columns):
            raise ValueError("columns: first, second and score are three columns")
        if self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale: the lowest score comes first, then the highest (got {self.scale})")
        return self

    @property
    def places(self) -> list[Place]:
        """The columns of the file that it takes."""
        return list(self.columns.values())

    @property
    def data(self) -> dict[str, object]:
        """What decides which pairs it has."""
        return self.model_dump(include=set(Table.model_fields) - {"header"})


class Evaluation(Section):
    """`sts` and `transfer` map a task to the entry of `sources` that holds it; `tasks` are STS tasks of one's own.

    `dev` picks checkpoints, seeds and variants, and stands for "unseen" in the geometry: STSB-dev, STS-B's dev split,
    or one of `tasks`, which then judges nothing. `transfer_classifier` is SentEval's: `adam`, as in the papers' tables,
    or `sklearn`, its L-BFGS with another grid.
    """

    sts: dict[StsTask, str] = {}
    tasks: dict[Name, ScoredPairs] = {}
    dev: str = STSB_DEV
    transfer: dict[TransferTask, str] = {}
    transfer_classifier: Classifier = "adam"
    batch_size: PositiveInt = 64
    geometry: Geometry = Geometry()

    @property
    def judged(self) -> list[str]:
        """The STS tasks that scores are reported of: all but `dev`."""
        return [*self.sts, *(name for name in self.tasks if name != self.dev)]

    @property
    def sts_sources(self) -> list[str]:
        """The sources of the STS tasks, `dev` among them, each once."""
        return sorted({*self.sts.values(), *(task.source for task in self.tasks.values())})

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in self.tasks:
            if name.casefold() in RESERVED:
                raise ValueError(f"tasks.{name}: the name is taken by a task or measure of cseflow; choose another")
        for one, other in combinations(self.tasks, 2):
            if one.casefold() == other.casefold():
                raise ValueError(f"tasks: {one!r} and {other!r} differ in case alone, and would be one file")
        return self

    @model_validator(mode="after")
    def _dev_picks_and_test_judges(self) -> Self:
        if self.dev in self.sts:
            raise ValueError(
                f"dev: {self.dev} is judged on; dev picks and test judges, so take {STSB_DEV} or a task "
                "of evaluation.tasks"
            )
        if self.dev == STSB_DEV:
            if "STSB" not in self.sts:
                raise ValueError(
                    f"dev: {STSB_DEV} picks checkpoints, so sts must name a source for STSB; or set another dev"
                )
        elif self.dev not in self.tasks:
            raise ValueError(f"dev: {self.dev!r} is neither {STSB_DEV} nor one of tasks ({', '.join(self.tasks)})")
        for name, task in self.tasks.items():
            if self.dev in self.tasks and name != self.dev and task.data == self.tasks[self.dev].data:
                raise ValueError(
                    f"dev: {self.dev} and the judged task {name} are the same data; dev picks and test judges, so give "
                    "them different files, splits or rows (where)"
                )
        if not self.judged:
            raise ValueError("sts and tasks: there is no task to judge by")
        return self


def metric_names(evaluation: Evaluation, terms: Iterable[str], sets: Iterable[str]) -> list[str]:
    """Every metric that a run may log: what is measured, and what training records of `terms` and sets of data."""
    tasks, transfer = evaluation.judged, list(evaluation.transfer)
    geometry = (*HELDOUT, evaluation.dev)
    return [
        *(f"sts/{name}" for name in [*tasks, evaluation.dev, "avg"]),
        *(f"transfer/{name}" for name in ([*transfer, "transfer_avg"] if transfer else [])),
        *(f"geometry/{data}/{name}" for data in geometry for name in ("alignment", "uniformity")),
        *(f"{rfd}/{name}" for rfd in ("rfd", "rfd/pairs", "rfd/tuples") for name in ("alignment", "uniformity")),
        *(f"data/{name}/{count}" for name in sets for count in ("heldout", "passes")),
        *(f"length_bias/{task}/{name}" for task in tasks for name in ("near", "far", "gap")),
        *(f"train/{name}" for name in ("loss", "learning_rate", "gradient_norm", "progress", "best_step", *terms)),
    ]
