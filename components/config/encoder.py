"""Section `encoder`: transformer, pooling, head."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Section

MARK = "[X]"  # stands for the sentence in a template


class Lora(Section):
    """A low-rank addition to frozen linear layers: W + (`alpha` / `rank`) · B · A, B starting at 0 (Hu et al. 2022,
    "LoRA", section 4.1); A sees its input through `dropout`, a rate.

    `targets` are ends of the layers' names, such as `query` or `layer.0.attention.self.query`; null: all linear layers
    but a pooler. `merge` adds it to the weights at export; else the folder holds it alone, with the base's path.
    """

    rank: PositiveInt = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    merge: bool = True


class Encoder(Section):
    """`pooling`, of BERT's states: `cls` is SimCSE's `cls_before_pooler`, `pooler` runs it through the dense layer and
    tanh that BERT was pretrained with; `mean`, `last_two_mean` and `first_last_mean` are its `avg`, `avg_top2` and
    `avg_first_last` (SimCSE, section 6.3, and its code).

    `head: training` drops the dense layer at export (SimCSE, unsupervised, section 6.3); `always` keeps it
    (supervised). It starts at N(0, `head_std`²), its bias at N(0, `head_bias_std`²), 0 standing for a bias of 0, and
    ends in `head_activation`: SimCSE's has tanh and BERT's initialisation, 0.02 and 0; NGCSE's code has none and 6e-3
    for both.

    `frozen_layers` is how many of the first layers are kept as they are, together with the embeddings: 0 freezes the
    embeddings and their norm alone, as NGCSE's code does; null trains all.

    `templates` serve pooling `prompt_mask` alone, the others take the sentence as it is: the first wraps the anchor
    (and every sentence in use), the last all other views; `[X]` is the sentence's place, `[MASK]`, after it, is the one
    that is read off. The checkpoint's own bound on tokens counts where `max_length` is above it.

    `dropout` is the rate of hidden states and attention probabilities (SimCSE table 4: 0.1 is best; ESimCSE's
    RoBERTa-large: 0.15); null leaves the checkpoint's own, which many of today have at 0.

    `lora` trains an addition to the transformer (and the head) instead of the transformer itself; null trains that.
    """

    source: str = "encoder"
    pooling: Literal["cls", "pooler", "mean", "first_last_mean", "last_two_mean", "last", "prompt_mask"] = "mean"
    head: Literal["none", "training", "always"] = "none"
    head_activation: Literal["tanh", "none"] = "tanh"
    head_std: Annotated[float, Field(gt=0)] = 0.02
    head_bias_std: Annotated[float, Field(ge=0)] = 0.0
    frozen_layers: Annotated[int, Field(ge=0)] | None = None
    max_length: Annotated[int, Field(ge=8)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    lora: Lora | None = None
    templates: Annotated[list[str], Field(min_length=1)] = [f"{MARK} [MASK]"]

    @model_validator(mode="after")
    def _templated(self) -> Self:
        for template in self.templates:
            if template.count(MARK) != 1 or template.count("[MASK]") != 1:
                raise ValueError(f"template {template!r} must hold {MARK} once and [MASK] once")
            if template.index("[MASK]") < template.index(MARK):
                raise ValueError(f"template {template!r} must hold [MASK] after {MARK}: views mask words before it")
        return self

    @model_validator(mode="after")
    def _adapted(self) -> Self:
        if self.lora is not None and self.frozen_layers is not None:
            raise ValueError("frozen_layers must be null beside lora, which freezes all layers; choose lora.targets")
        if self.lora is not None and not self.lora.merge and self.pooling in {"first_last_mean", "last_two_mean"}:
            raise ValueError(
                f"lora.merge must be true with pooling {self.pooling}, which the base's own files rule out"
            )
        return self
