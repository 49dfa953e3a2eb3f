"""Section `encoder`: transformer, pooling, head."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.config.base import Section

MARK = "[X]"  # stands for the sentence in a template


class Encoder(Section):
    """`head: training` drops the MLP at export (SimCSE, unsupervised); `always` keeps it (supervised).

    `templates` serve pooling `prompt_mask` alone, the others take the sentence as it is: the first wraps the anchor
    (and every sentence in use), the last all other views; `[X]` is the sentence's place, `[MASK]`, after it, is the one
    that is read off. The checkpoint's own bound on tokens counts where `max_length` is above it.

    `dropout` is the rate of hidden states and attention probabilities (SimCSE table 4: 0.1 is best; ESimCSE's
    RoBERTa-large: 0.15); null leaves the checkpoint's own, which many of today have at 0.
    """

    source: str = "encoder"
    pooling: Literal["cls", "mean", "first_last_mean", "last", "prompt_mask"] = "mean"
    head: Literal["none", "training", "always"] = "none"
    max_length: Annotated[int, Field(ge=8)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    templates: Annotated[list[str], Field(min_length=1)] = [f"{MARK} [MASK]"]

    @model_validator(mode="after")
    def _templated(self) -> Self:
        for template in self.templates:
            if template.count(MARK) != 1 or template.count("[MASK]") != 1:
                raise ValueError(f"template {template!r} must hold {MARK} once and [MASK] once")
            if template.index("[MASK]") < template.index(MARK):
                raise ValueError(f"template {template!r} must hold [MASK] after {MARK}: views mask words before it")
        return self
