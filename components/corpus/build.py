"""The stage: a source in, two splits of clean sentences out; memory grows by a 64-bit hash a sentence, no more."""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from components.config.corpus import Corpus
from components.corpus.cleaning import clean_all
from components.corpus.dump import Page, Skipped, read_pages
from components.errors import DataError
from components.files import folder_written_whole

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("page", pa.string())])
ROW_GROUP = 10_000  # rows


def build(source: Path, into: Path, settings: Corpus, seed: int) -> dict[str, Any]:
    """Write `into`/{train,heldout}.parquet and summary.json from the dump or text `source`; returns the summary.

    Rows are (id int64, text string, page string), in the source's order; `id` counts through both splits, `page` is the
    article's title, or null for plain text. In the summary a line of plain text counts as a page.

    A sentence's split and, under `max_sentences`, its place in the sample are drawn by a hash of its text and the seed:
    they depend on no other sentence, and stay as the dump grows. Sentences are held out one by one, not page by page:
    RFD and the geometry traces want held-out sentences of the training sentences' own distribution, which a few whole
    pages are not.

    Raises:
        DataError: the source is broken or gives no sentence; `into` stays what it was.
    """
    pages: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    ranks: list[int] = []  # a heap of the lowest ranks, negated: the sample
    seen: set[int] = set()
    with folder_written_whole(into) as folder:
        everything = folder / "everything.parquet"
        with _Writer(everything) as writer:
            for rows, faults in clean_all(_articles(source, settings, pages), settings):
                dropped += faults
                for text, page in rows:
                    fingerprint = _hash(text)
                    if fingerprint in seen:
                        dropped["duplicate"] += 1
                        continue
                    seen.add(fingerprint)
                    writer.add(text, page)
                    if settings.max_sentences:
                        push = heapq.heappush if len(ranks) < settings.max_sentences else heapq.heappushpop
                        push(ranks, -_hash(text, f"sample {seed}"))
        sample = set(ranks)
        with _Writer(folder / "train.parquet") as train, _Writer(folder / "heldout.parquet") as heldout:
            for batch in pq.ParquetFile(everything).iter_batches():
                for number, text, page in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if settings.max_sentences and -_hash(text, f"sample {seed}") not in sample:
                        dropped["sample"] += 1
                        continue
                    held_out = _hash(text, f"heldout {seed}") < settings.heldout * 2**64
                    (heldout if held_out else train).add(text, page, number)
        everything.unlink()
        if not (train.rows and heldout.rows):
            raise DataError(
                f"{source} gives {train.rows} training and {heldout.rows} held-out sentences, and both are needed: see "
                f"`corpus` in params.yaml (pages: {_told(pages)}; sentences dropped: {_told(dropped)})"
            )
        kept = train.rows + heldout.rows
        summary = {
            "pages": dict(sorted(pages.items())),
            "sentences": {"seen": kept + dropped.total(), "kept": kept, "train": train.rows, "heldout": heldout.rows},
            "dropped": dict(sorted(dropped.items())),
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _articles(source: Path, settings: Corpus, pages: Counter[str]) -> Iterator[Page]:
    """What there is to clean, counting what is not."""
    for page in read_pages(source, settings.format):
        pages["seen"] += 1
        if isinstance(page, Skipped):
            pages[page.reason] += 1
        else:
            pages["kept"] += 1
            yield page


def _hash(text: str, salt: str = "") -> int:
    normal = " ".join(text.casefold().split())
    return int.from_bytes(hashlib.blake2b(normal.encode(), digest_size=8, key=salt.encode()).digest())


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"


class _Writer:
    """Rows to Parquet, a row group at a time."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._file.close()

    def add(self, text: str, page: str | None, number: int | None = None) -> None:
        self._rows.append({"id": self.rows if number is None else number, "text": text, "page": page})
        self.rows += 1
        if len(self._rows) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA))
            self._rows = []
