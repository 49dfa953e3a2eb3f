"""From sentences to embeddings, each distinct sentence once."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from components.errors import CseflowError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Sentences to (n, dim) float32, not necessarily normalised.
Encode = Callable[[list[str]], NDArray[np.float32]]
Precision = Literal["fp32", "bf16"]
LONG = 2000  # sentences from which on a progress bar is worth its lines


def embed_distinct(encode: Encode, *lists: list[str]) -> list[NDArray[np.float32]]:
    """Embed every list, a sentence that occurs more than once only once: one (len(list), dim) array per list.

    The encoder gets the sentences longest first, so that a batch pads little and a lack of memory shows at once.

    Raises:
        CseflowError: an embedding that is not finite.
    """
    distinct = sorted({sentence for sentences in lists for sentence in sentences}, key=lambda s: (-len(s), s))
    if not distinct:
        return [np.empty((0, 0), np.float32) for _ in lists]
    embeddings = np.asarray(encode(distinct))
    broken = ~np.isfinite(embeddings).all(axis=1)
    if broken.any():
        raise CseflowError(
            f"the encoder gives embeddings that are not finite for {broken.sum()} of {len(distinct)} sentences, the "
            f"first being {distinct[int(broken.argmax())]!r}; its weights are most likely spoilt by a diverged training"
        )
    row = {sentence: k for k, sentence in enumerate(distinct)}
    return [embeddings[np.array([row[sentence] for sentence in sentences], np.intp)] for sentences in lists]


def remembering(encode: Encode) -> Encode:
    """`encode` that embeds each sentence once over all its calls; the embeddings of all sentences stay in memory."""
    known: dict[str, NDArray[np.float32]] = {}

    def encode_new(sentences: list[str]) -> NDArray[np.float32]:
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in known]
        if new:
            known.update(zip(new, encode(new), strict=True))
        return np.stack([known[sentence] for sentence in sentences])

    return encode_new


def encoder_of(model: "SentenceTransformer", batch_size: int = 64, precision: Precision = "fp32") -> Encode:
    """`Encode` by way of the model's own `encode`, so that its users get the same embeddings.

    Args:
        batch_size: sentences in a batch.
        precision: `bf16` multiplies in bfloat16, which is faster where the processor does so natively, and can move
            an STS score by a tenth of a point.
    """
    import torch
    from transformers import PreTrainedModel

    from components.encoder.packed import packing

    transformer = getattr(model[0], "auto_model", None)

    def encode(sentences: list[str]) -> NDArray[np.float32]:
        packed = packing(transformer) if isinstance(transformer, PreTrainedModel) else nullcontext()
        half = torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16")
        with packed, half:
            return model.encode(
                sentences, batch_size=batch_size, show_progress_bar=len(sentences) >= LONG and sys.stderr.isatty()
            ).astype(np.float32)

    return encode
