"""How alike the two texts of a pair are, in words and to an encoder (NGCSE, appendix)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluation.embed import Encode, embed_distinct
from components.evaluation.sts import cosine
from components.text import match_error_rate

Pairs = tuple[Sequence[str], Sequence[str]]  # first and second texts, equally many
BINS = {"match_error_rate": np.linspace(0, 1, 21), "cosine": np.linspace(-1, 1, 41)}


def similarity_patterns(encode: Encode, positives: Pairs, negatives: Pairs) -> dict[str, Any]:
    """Histograms of a data set's pairs, fit for JSON.

    Returns:
        `positive` and `negative`, each with `match_error_rate` and `cosine`, each with `edges` (bins + 1, the same for
        every data set), `counts` (bins) and `mean` (None without pairs).
    """
    sides = [list(side) for side in (*positives, *negatives)]
    embedded = embed_distinct(encode, *sides)
    return {
        name: {
            "match_error_rate": _histogram(
                "match_error_rate", np.array([match_error_rate(*pair) for pair in zip(*sides[k : k + 2], strict=True)])
            ),
            "cosine": _histogram("cosine", cosine(embedded[k], embedded[k + 1])),
        }
        for name, k in (("positive", 0), ("negative", 2))
    }


def _histogram(measure: str, values: NDArray[np.float64]) -> dict[str, Any]:
    edges = BINS[measure]
    # A cosine may pass 1 by a rounding error.
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    mean = float(values.mean()) if len(values) else None
    return {"edges": edges.round(6).tolist(), "counts": counts.tolist(), "mean": mean}
