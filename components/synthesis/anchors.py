"""Which sentences of the corpus are asked about, and in what order."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from components.config.synthesis import Anchors
from components.errors import DataError
from components.synthesis.tuples import PATTERNS, Sentence
from components.text import normal


def anchors(
    pattern: str, path: Path, settings: Anchors, seed: int, known: frozenset[str], asks: Callable[[str], bool]
) -> Iterator[Sentence]:
    """The sentences of the Parquet file `path` within the bounds, in an order drawn by the seed for each pattern.

    Those that the STS tasks have too, which are `known`, and those that the judge `asks` nothing about are left out.

    Raises:
        DataError: there is no corpus, or no sentence in it that can be asked about.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run `dvc repro corpus`")
    table = pq.read_table(path, columns=["id", "text"])
    ids, texts = table["id"], table["text"]
    left_out: Counter[str] = Counter()
    given = 0
    for row in np.random.default_rng([seed, PATTERNS.index(pattern)]).permutation(table.num_rows):
        text = texts[row].as_py()
        if not settings.min_words <= len(text.split()) <= settings.max_words:
            left_out["length"] += 1
        elif normal(text) in known:
            left_out["STS tasks"] += 1
        elif not asks(text):
            left_out["denial"] += 1
        else:
            given += 1
            yield Sentence(ids[row].as_py(), text)
    if not given:
        raise DataError(
            f"{path}: none of its {table.num_rows:,} sentences can be asked about: {left_out['length']} have not "
            f"{settings.min_words} to {settings.max_words} words (synthesis.anchors), {left_out['denial']} deny "
            f"something (synthesis.filters.denial), {left_out['STS tasks']} are of the STS tasks"
        )
