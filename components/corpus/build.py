"""The stage: a source in, two splits of clean sentences out; memory grows by some 64-bit numbers a sentence."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.config.corpus import Corpus
from components.corpus.shards import HASH, HELDOUT, RANK, Shard, shards_of
from components.errors import DataError
from components.files import folder_written_whole

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("page", pa.string())])
ROW_GROUP = 10_000  # rows
LEAST = 2  # sentences of a split: uniformity is a mean over pairs
NAMED = 100  # costly pages that the summary names


def build(source: Path, into: Path, settings: Corpus, seed: int) -> dict[str, Any]:
    """Write `into`/{train,heldout}.parquet and summary.json from `source`, a dump or text or a folder of such.

    Rows are (id int64, text string, page string), in the source's order (a folder's files by name, numbers as numbers);
    `id` counts through both splits, `page` is the article's title, or null for plain text. In the summary a line of
    plain text counts as a page. Files that an interrupted call, or other machines, have cleaned are not cleaned again.

    A sentence's split and, under `max_sentences`, its place in the sample are drawn by a hash of its text and the seed:
    they depend on no other sentence, and stay as the dump grows. Sentences are held out one by one, not page by page:
    RFD and the geometry traces want held-out sentences of the training sentences' own distribution, which a few whole
    pages are not.

    Returns:
        The summary.

    Raises:
        DataError: the source is broken or gives no sentence; `into` stays what it was.
    """
    shards = shards_of(source, into, settings, seed)
    for shard in shards:
        shard.make()
    pages: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    costly: list[str] = []
    for shard in shards:
        seen, faults, titles = shard.counts()
        pages += seen
        dropped += faults
        costly += titles
    number, chosen = _chosen(shards, settings, dropped)
    with folder_written_whole(into) as folder:
        with _Writer(folder / "train.parquet") as train, _Writer(folder / "heldout.parquet") as heldout:
            first = 0
            for shard in shards:
                content = pq.ParquetFile(shard.path, pre_buffer=False)  # which would hold all that was read to the end
                for batch in content.iter_batches(ROW_GROUP, columns=["text", "page", HELDOUT], use_threads=False):
                    rows = slice(first, first := first + len(batch))
                    table = pa.Table.from_batches([batch]).add_column(0, "id", pa.array(number[rows]))
                    table = table.filter(pa.array(chosen[rows]))
                    apart = table[HELDOUT].to_numpy()
                    train.add(table.filter(pa.array(~apart)).select(SCHEMA.names))
                    heldout.add(table.filter(pa.array(apart)).select(SCHEMA.names))
        if min(train.rows, heldout.rows) < LEAST:
            raise DataError(
                f"{source} gives {train.rows} training and {heldout.rows} held-out sentences, and {LEAST} of each is "
                f"the least: add text, raise corpus.heldout ({settings.heldout:g}), or check corpus.language, filter, "
                f"min_words and max_words (pages: {_told(pages)}; sentences dropped: {_told(dropped)})"
            )
        kept = train.rows + heldout.rows
        summary: dict[str, Any] = {
            "pages": dict(sorted(pages.items())),
            "sentences": {"seen": kept + dropped.total(), "kept": kept, "train": train.rows, "heldout": heldout.rows},
            "dropped": dict(sorted(dropped.items())),
        }
        if costly:
            summary["costly"] = costly[:NAMED]
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(shards[0].path.parent.parent)
    return summary


def _chosen(
    shards: Sequence[Shard], settings: Corpus, dropped: Counter[str]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of every row of all shards its number among those that may be taken, and whether it is wanted."""
    hashes = _column(shards, HASH)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    chosen = np.empty(len(hashes), np.bool_)
    chosen[order] = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(hashes)]  # the first of its like
    chosen |= not settings.unique
    number = np.cumsum(chosen) - 1
    unique = int(chosen.sum())
    dropped["duplicate"] += len(hashes) - unique
    if settings.max_sentences and settings.max_sentences < unique:
        ranks = _column(shards, RANK)
        highest = np.partition(ranks[chosen], settings.max_sentences - 1)[settings.max_sentences - 1]
        chosen &= ranks <= highest
        dropped["sample"] += unique - int(chosen.sum())
    for reason in [reason for reason, count in dropped.items() if not count]:
        del dropped[reason]
    return number, chosen


def _column(shards: Sequence[Shard], name: str) -> NDArray[np.uint64]:
    return np.concatenate([pq.read_table(shard.path, columns=[name])[name].to_numpy() for shard in shards])


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"


class _Writer:
    """Rows to Parquet, in row groups of one size however they come."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._waiting = SCHEMA.empty_table()
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if len(self._waiting):
            self._file.write_table(self._waiting.combine_chunks())
        self._file.close()

    def add(self, table: pa.Table) -> None:
        self._waiting = pa.concat_tables([self._waiting, table])
        self.rows += len(table)
        while len(self._waiting) >= ROW_GROUP:
            self._file.write_table(self._waiting[:ROW_GROUP].combine_chunks())
            self._waiting = self._waiting[ROW_GROUP:]
