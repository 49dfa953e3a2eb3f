"""An encoder without a model: embeddings drawn from a hash of the sentence."""

import zlib

import numpy as np
from numpy.typing import NDArray


def hashed(sentences: list[str], dim: int = 16) -> NDArray[np.float32]:
    """The same sentence always has the same embedding, not normalised."""
    rows = [np.random.default_rng(zlib.crc32(sentence.encode())).normal(size=dim) for sentence in sentences]
    return np.array(rows, np.float32).reshape(-1, dim)
