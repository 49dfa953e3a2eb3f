"""Section `training`: batches, optimiser, checkpoints."""

from typing import Annotated, Literal

from pydantic import Field

from components.config.base import Positive, Section, Share


class Training(Section):
    """`sentences` bounds the anchors of one epoch (null: all); `evaluation_steps` is also the checkpoint interval."""

    sentences: Positive | None = None
    epochs: Positive = 1
    batch_size: Annotated[int, Field(ge=2)] = 64
    learning_rate: Annotated[float, Field(gt=0)]
    warmup: Share = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    evaluation_steps: Positive
