"""Section `training`: batches, optimiser, checkpoints, and how the work is laid out."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Section, Share

Precision = Literal["fp32", "bf16", "fp16"]


class Schedule(Section):
    """What is computed: `sentences` bounds the anchors of one epoch (null: all); `evaluation_steps` is also the
    checkpoint interval; `batch_size` is that of all processes together; `drop_last` leaves the last, smaller batch of
    an epoch out (the papers' code keeps it)."""

    sentences: PositiveInt | None = None
    epochs: PositiveInt = 1
    batch_size: Annotated[int, Field(ge=2)] = 64
    drop_last: bool = True
    learning_rate: Annotated[float, Field(gt=0)]
    warmup: Share = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    evaluation_steps: PositiveInt


class Layout(Section):
    """How it is computed. Like the hardware it leaves the mathematics alone, and is no part of a run's identity.

    `processes`, one for each GPU, on each of `nodes` machines share out every batch, by torchrun; several nodes meet at
    `rendezvous`, HOST:PORT on one of them. `cache_rows` bounds how many texts are back-propagated at a time (gradient
    caching; null: the whole batch), for batches larger than memory, at the price of a second forward pass.
    """

    processes: PositiveInt = 1
    nodes: PositiveInt = 1
    rendezvous: Annotated[str, Field(pattern=r"^[^:/\s]+:\d+$")] | None = None
    cache_rows: PositiveInt | None = None


class Recipe(Schedule):
    """All of it that decides what comes out, once the host has settled the precision."""

    precision: Precision


class Training(Schedule, Layout):
    """`precision: auto` is bf16 where the hardware does it natively, else fp32; `fp16`, with a scaled loss, is that of
    SimCSE's and ESimCSE's scripts, and needs a GPU."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    def recipe(self, precision: Precision) -> Recipe:
        """The section without its layout, in `precision`."""
        return Recipe(**self.model_dump(include=set(Schedule.model_fields)), precision=precision)

    @property
    def layout(self) -> Layout:
        return Layout(**self.model_dump(include=set(Layout.model_fields)))

    @model_validator(mode="after")
    def _shared_out(self) -> Self:
        if self.nodes > 1 and self.rendezvous is None:
            raise ValueError(f"{self.nodes} nodes need a rendezvous, HOST:PORT on one of them")
        if self.batch_size % (self.nodes * self.processes):
            raise ValueError(
                f"batch_size {self.batch_size} can't be shared out evenly among {self.nodes * self.processes} processes"
            )
        return self
