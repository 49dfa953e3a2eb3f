"""Hard negatives for a set of pairs: texts of other pairs that a frozen encoder ranks high."""

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.config.sets import Mining
from components.errors import DataError
from components.files import written_whole
from components.sources.digest import folder_digest

CACHE = Path(".state/mined")  # <digest>.parquet: what was mined of equal texts, by an equal encoder
BATCH = 64  # texts at a time
QUERIES = 1024  # anchors at a time, each held against all positives
Pair = tuple[str, str]


def mine(
    pairs: list[Pair], mining: Mining, encoder: Path, *, seed: int = 0, cache: Path = CACHE
) -> dict[Pair, list[str]]:
    """Anchor and positive → `mining.count` hard negatives; pairs with fewer candidates are not in it.

    Candidates of an anchor are the positives of all other anchors, in order of their cosine with it.

    Args:
        encoder: a sentence-transformers folder.
        seed: of `sample: random`.

    Raises:
        DataError: the encoder is missing or can't be loaded.
    """
    if not encoder.is_dir():
        raise DataError(f"{encoder} is missing; run `dvc repro fetch`")
    settings = json.dumps([mining.model_dump(), seed, version("sentence-transformers"), folder_digest(encoder)])
    digest = hashlib.sha256(json.dumps([settings, pairs]).encode()).hexdigest()[:32]
    path = cache / f"{digest}.parquet"
    if not path.is_file():
        with written_whole(path) as aside:
            pq.write_table(_mined(pairs, mining, encoder, seed), aside)
    rows = pq.read_table(path).to_pylist()
    return {(row.pop("anchor"), row.pop("positive")): list(row.values()) for row in rows}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Python's random state set, which the library draws by, and put back."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _mined(pairs: list[Pair], mining: Mining, encoder: Path, seed: int) -> pa.Table:
    """anchor, positive, negative_1, …, of the pairs that have enough."""
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    disable_progress_bars()
    try:
        model = SentenceTransformer(str(encoder), trust_remote_code=False, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{encoder} can't be loaded to mine negatives with ({reason})") from None
    anchors, positives = ([pair[side] for pair in pairs] for side in (0, 1))
    least, most = mining.ranks
    with _seeded(seed):
        found = mine_hard_negatives(
            Dataset.from_dict({"anchor": anchors, "positive": positives}),
            model,
            anchor_column_name="anchor",
            positive_column_name="positive",
            range_min=least,
            range_max=most,
            max_score=mining.maximum,
            relative_margin=mining.margin,
            num_negatives=mining.count,
            sampling_strategy=mining.sample,
            output_format="n-tuple",
            batch_size=BATCH,
            faiss_batch_size=QUERIES,
            verbose=False,
        )
    names = ["anchor", "positive", *(f"negative_{k}" for k in range(1, mining.count + 1))]
    columns = [pa.array(list(found[name]), pa.string()) for name in found.column_names]
    return pa.table(dict(zip(names, columns, strict=True)))
