"""Which sentences of the corpus are asked about, and in what order."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from components.config.synthesis import Anchors
from components.errors import DataError
from components.synthesis.tuples import PATTERNS, Sentence
from components.text import normal


def anchors(pattern: str, path: Path, settings: Anchors, seed: int, known: frozenset[str]) -> Iterator[Sentence]:
    """The sentences of the Parquet file `path` within the bounds, in an order drawn by the seed for each pattern.

    Those that the STS tasks have too, which are `known`, are left out.

    Raises:
        DataError: there is no corpus.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run `dvc repro corpus`")
    table = pq.read_table(path, columns=["id", "text"])
    ids, texts = table["id"], table["text"]
    for row in np.random.default_rng([seed, PATTERNS.index(pattern)]).permutation(table.num_rows):
        text = texts[row].as_py()
        if settings.min_words <= len(text.split()) <= settings.max_words and normal(text) not in known:
            yield Sentence(ids[row].as_py(), text)
