"""A loaded encoder held against what its variant and its data need, before the first step."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from components import paths
from components.augmentation.tokens import tokenise
from components.encoder.model import SentenceEncoder
from components.encoder.pretrained import left_out
from components.encoder.templates import TokenIds
from components.errors import ConfigError, DataError
from components.spec import RunSettings
from components.training.rows import PartRows, view_folder

log = logging.getLogger(__name__)
SAMPLE = 64  # sentences that are tokenised once more
DIFFERENT = 1e-6  # of a vector's length, above which two vectors are not one


def require_encoder(encoder: SentenceEncoder, settings: RunSettings) -> None:
    """Refuse an encoder that its variant can't train; log what of a sentence-transformers folder is not taken over.

    Random states and the encoder's mode are left as they were.

    Raises:
        ConfigError: the pooling sees nothing of a text, or pairs differ by dropout alone and nothing is dropped out.
    """
    source = settings.encoder.source
    others = left_out(paths.SOURCES / source, settings.encoder.pooling)
    if others:
        log.warning(
            "%s is a sentence-transformers folder, of which transformer, tokenizer and normalisation are used; left "
            "out: %s",
            paths.SOURCES / source,
            ", ".join(others),
        )
    first, other = encoder.tokenise(["The old king saw the river.", "The old king gave it to her in his city."])
    if not np.array_equal(first, other) and _same(encoder, first, other, dropout=False):
        raise ConfigError(
            f"encoder.pooling: {settings.encoder.pooling} gives every text one vector, because the token it reads off "
            f"sees nothing of the text in {source!r}; take last or mean"
        )
    alike = [part.roles.anchor for part in settings.variant.data if part.roles.anchor == part.roles.positive]
    lora = settings.encoder.lora
    later = lora is not None and lora.dropout > 0  # from the first step on, which moves its matrices away from 0
    if alike and not later and _same(encoder, other, other, dropout=True):
        raise ConfigError(
            f"encoder.dropout: {source!r} drops nothing out, so that both sides of a pair of {alike[0]!r} with itself "
            "are one vector; set a rate, such as 0.1, or take another view as the positive"
        )


def require_tokens(encoder: SentenceEncoder, settings: RunSettings) -> None:
    """Refuse views that another tokenizer made, by the first sentences of the corpus, tokenised once more.

    Raises:
        ConfigError: their tokens are not those of `encoder`.
        DataError: the corpus or its views are missing.
    """
    source, identity, max_length = settings.encoder.source, settings.tokens.identity, settings.tokens.max_length
    shard = min(view_folder(identity, "train", Path(settings.tokens.views)).glob("part-*.parquet"))
    corpus = paths.CORPUS / "train.parquet"
    if not corpus.is_file():
        raise DataError(f"{corpus} is missing; run `dvc repro`")
    made = _first_rows(shard, identity)
    wanted = tokenise(_first_rows(corpus, "text"), encoder.tokenizer, max_length).lists()
    if made != wanted:
        raise ConfigError(
            f"encoder.source: the tokens of {settings.tokens.views} are not those of {source!r} with "
            f"augmentation.max_length {max_length}; name the variant in experiment.variants and run `dvc repro`"
        )


def warn_of_cuts(encoder: SentenceEncoder, parts: Sequence[PartRows]) -> None:
    """Log each column that holds sequences longer than the encoder's positions: what is beyond is left out."""
    if encoder.positions is None:
        return
    around = max(len(encoder.anchor_template.ids), len(encoder.view_template.ids))
    for part in parts:
        for name, column in part.columns.items():
            longest = column.longest() + around
            if longest > encoder.positions:
                log.warning(
                    "%s, %s: the longest text has %d tokens with what stands around it; they are cut to the %d that "
                    "%r takes (lower augmentation.max_length to avoid it)",
                    part.part.set,
                    name,
                    longest,
                    encoder.positions,
                    encoder.settings.source,
                )


def _same(encoder: SentenceEncoder, one: TokenIds, other: TokenIds, *, dropout: bool) -> bool:
    """Whether two sequences get one vector; with `dropout`, in one batch of training mode."""
    cuda = [encoder.device] if encoder.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(0)
        first, second = encoder.embed_sequences([one, other], dropout=dropout)
    return bool(np.linalg.norm(first - second) <= DIFFERENT * np.linalg.norm(first))


def _first_rows(file: Path, column: str) -> list[Any]:
    batches = pq.ParquetFile(file).iter_batches(SAMPLE, columns=[column])
    rows: pa.RecordBatch = next(batches)
    return rows.column(column).to_pylist()
