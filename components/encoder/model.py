"""The sentence encoder: any transformers checkpoint, a pooling, an optional head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from components.config.encoder import Encoder
from components.encoder.adapter import add_adapter, save_adapter
from components.encoder.batch import HIDDEN, TokenBatch, token_batch
from components.encoder.packed import packed_states, packs, padded_states
from components.encoder.pooling import EVERY_LAYER, pool
from components.encoder.pretrained import (
    SHORTENED,
    freeze,
    load_tokenizer,
    load_transformer,
    most_tokens,
    normalises,
    own_pooler,
)
from components.encoder.templates import Template, TokenIds, templates_for
from components.errors import ConfigError


class SentenceEncoder(nn.Module):
    """Sentences to embeddings.

    `forward` gives what the objective sees (with the head, if there is one); `embed` gives what users get (the head
    only where `settings.head` is `always`). Both follow the module's training mode as to dropout. Texts are cut to
    `max_length` tokens: the settings', or fewer where the checkpoint takes no more.
    """

    def __init__(
        self,
        transformer: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: Encoder,
        *,
        normalised: bool = False,
    ) -> None:
        """Put a transformer and its tokenizer together, as `load` reads them; `normalised`: `embed` gives length 1.

        Raises:
            ConfigError: the tokenizer or transformer has not what the settings need, or a template leaves no token for
                the text.
        """
        super().__init__()
        self.transformer = transformer
        self.tokenizer = tokenizer
        self.settings = settings
        self.normalised = normalised
        kind = transformer.config.model_type
        if kind in SHORTENED and settings.pooling in EVERY_LAYER:
            raise ConfigError(
                f"encoder.pooling: {settings.pooling} reads several layers, and sentence-transformers reads one of a "
                f"{kind!r}; take mean or cls"
            )
        self.dim = int(transformer.config.hidden_size)
        # XLNet's tokenizer says -1: no bound.
        self.positions = most_tokens(transformer)
        bounds = [settings.max_length, tokenizer.model_max_length, self.positions or 0]
        self.max_length = min(bound for bound in bounds if bound > 0)
        self.anchor_template, self.view_template = templates_for(tokenizer, settings)
        around = max(len(self.anchor_template.ids), len(self.view_template.ids))
        if around >= self.max_length:
            raise ConfigError(
                f"encoder.max_length: {self.max_length} tokens leave no room beside the template's {around}"
            )
        self.head: nn.Sequential | None = None
        if settings.head != "none":
            dense = nn.Linear(self.dim, self.dim)
            nn.init.normal_(dense.weight, std=settings.head_std)
            if settings.head_bias_std:
                nn.init.normal_(dense.bias, std=settings.head_bias_std)
            else:
                nn.init.zeros_(dense.bias)
            self.head = nn.Sequential(dense, nn.Tanh() if settings.head_activation == "tanh" else nn.Identity())
        self._adapted = None if settings.lora is None else (add_adapter(transformer, settings.lora),)  # no submodule
        if settings.frozen_layers is not None:
            freeze(transformer, settings.frozen_layers)
        self._pooler = own_pooler(transformer) if settings.pooling == "pooler" else None
        if getattr(transformer, "pooler", None) is not None and self._pooler is None:
            transformer.pooler.requires_grad_(False)  # kept for the export, but no other pooling reads it
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise ConfigError(f"encoder.frozen_layers: {settings.frozen_layers} leaves nothing to train; take fewer")

    @classmethod
    def load(cls, folder: Path | str, settings: Encoder) -> Self:
        """Read a transformers checkpoint (safetensors) and its tokenizer from `folder`, in float32.

        Raises:
            DataError: the folder is missing or holds no such checkpoint.
            ConfigError: the checkpoint does not fit the settings, or is no encoder of texts.
        """
        tokenizer = load_tokenizer(folder)
        transformer = load_transformer(folder, settings.dropout, pooler=settings.pooling == "pooler")
        return cls(transformer, tokenizer, settings, normalised=normalises(folder))

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return next(self.transformer.parameters()).device

    def forward(self, batch: TokenBatch) -> torch.Tensor:
        """Embeddings (rows, dim) for the objective, head included."""
        pooled = self.pooled(batch)
        return pooled if self.head is None else self.head(pooled)

    def embed(self, batch: TokenBatch) -> torch.Tensor:
        """Embeddings (rows, dim) as in use: without a head of kind `training`, of length 1 if the base's are."""
        embedded = self(batch) if self.settings.head == "always" else self.pooled(batch)
        return F.normalize(embedded, dim=-1) if self.normalised else embedded

    def dense_layers(self) -> list[tuple[nn.Linear, nn.Module]]:
        """What is done to a pooled state in use, in turn: dense layers, each with the activation after it."""
        used = self.head if self.settings.head == "always" else None
        head = [] if used is None else [cast(tuple[nn.Linear, nn.Module], tuple(used))]
        return ([self._pooler] if self._pooler is not None else []) + head

    def merge_adapter(self) -> None:
        """Add what LoRA has trained to the transformer's weights; embeddings stay the same but for rounding."""
        if self._adapted is not None:
            self._adapted[0].merge_and_unload()
            self._adapted = None

    def save_transformer(self, folder: Path | str) -> None:
        """Write the transformer as transformers reads it, or LoRA's addition alone, as peft does."""
        if self._adapted is None:
            self.transformer.save_pretrained(folder)
        else:
            save_adapter(self._adapted[0], folder)

    def states(self, tensors: Sequence[torch.Tensor], *, every_layer: bool = False) -> list[tuple[torch.Tensor, ...]]:
        """Hidden states of each of `tensors`, padded sequences (rows, tokens): as many (rows, tokens, dim).

        Those of the embedding layer and of every transformer layer, or the last ones alone.
        """
        states_of = packed_states if packs(self.transformer) else padded_states
        return states_of(self.transformer, tensors, every_layer=every_layer)

    def pooled(self, batch: TokenBatch) -> torch.Tensor:
        """Embeddings (rows, dim) without the head."""
        mask_id, pooling = self.tokenizer.mask_token_id, self.settings.pooling
        states = self.states(batch["ids"], every_layer=pooling in EVERY_LAYER)
        pooled = [
            pool(each, ids, ids != HIDDEN, "cls" if pooling == "pooler" else pooling, mask_id)
            for each, ids in zip(states, batch["ids"], strict=True)
        ]
        rows = torch.cat(pooled)[batch["place"]]
        if self._pooler is None:
            return rows
        dense, activation = self._pooler
        return cast(torch.Tensor, activation(dense(rows)))

    def wrap(self, content: TokenIds, template: Template) -> TokenIds:
        """The whole sequence of a view: `template` around `content` (tokens,), which is cut to what positions allow.

        Padding tokens in `content` are what a view hid: `HIDDEN` takes their places.
        """
        if self.positions is not None:
            content = content[: self.positions - len(template.ids)]
        return template.wrap(np.where(content == self.tokenizer.pad_token_id, np.int32(HIDDEN), content))

    def tokenise(self, texts: Sequence[str], *, anchor: bool = True) -> list[TokenIds]:
        """Whole sequences, template and special tokens included, cut to `max_length`."""
        template = self.anchor_template if anchor else self.view_template
        if not texts:
            return []  # which the tokenizer does not take
        room = self.max_length - len(template.ids)
        encoded = self.tokenizer(list(texts), add_special_tokens=False, truncation=True, max_length=room)
        return [template.wrap(np.array(ids, dtype=np.int32)) for ids in encoded.input_ids]

    @torch.no_grad()
    def embed_sequences(
        self, sequences: Sequence[TokenIds], *, batch_size: int = 64, dropout: bool = False
    ) -> NDArray[np.float32]:
        """Embeddings (rows, dim) as in use, in float32; `dropout` on or off whatever the module's mode is."""
        was_training = self.training
        self.train(dropout)
        try:
            order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
            out = np.empty((len(sequences), self.dim), dtype=np.float32)
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = token_batch([sequences[i] for i in rows])
                moved: TokenBatch = {
                    "ids": [ids.to(self.device) for ids in batch["ids"]],
                    "place": batch["place"].to(self.device),
                }
                out[rows] = self.embed(moved).float().cpu().numpy()
            return out
        finally:
            self.train(was_training)

    def encode(self, texts: list[str], batch_size: int = 64) -> NDArray[np.float32]:
        """Embeddings (len(texts), dim) as in use, dropout off."""
        return self.embed_sequences(self.tokenise(texts), batch_size=batch_size)
