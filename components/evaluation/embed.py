"""From sentences to embeddings, each distinct sentence once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from components.errors import CseflowError

# Sentences to (n, dim) float32, not necessarily normalised.
Encode = Callable[[list[str]], NDArray[np.float32]]


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
