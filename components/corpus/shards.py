"""A source's files, each cleaned by itself: one Parquet file for each, written whole, so that a killed stage goes on.

The sentences of a shard know nothing of other shards': what needs all of them (duplicates, numbers, the sample) is left
to `components.corpus.build`. So shards can be made in any order, on any machine that sees the folder.
"""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.config.corpus import Corpus
from components.corpus.cleaning import clean_all
from components.corpus.dump import Page, Skipped, read_pages
from components.errors import DataError
from components.files import file_digest, written_whole

HASH, HELDOUT, RANK = "hash", "heldout", "rank"  # beside text and page; `rank` where a sample is drawn
_COUNTS = "cseflow"  # key of the file's metadata


@dataclass(frozen=True)
class Shard:
    """One file of the source, and where its sentences go: columns text, page, hash, heldout and perhaps rank."""

    source: Path
    path: Path
    settings: Corpus
    seed: int

    def make(self, *, cores: int | None = None, progress: bool = True) -> None:
        """Clean the source on `cores` (None: all), unless it is done.

        Raises:
            DataError: the source is broken.
        """
        if self.path.exists():
            return
        pages: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        costly: list[str] = []
        columns = {"text": pa.string(), "page": pa.string(), HASH: pa.uint64(), HELDOUT: pa.bool_()}
        if self.settings.max_sentences:
            columns[RANK] = pa.uint64()
        schema = pa.schema(list(columns.items()))
        articles = self._articles(pages, progress)
        with written_whole(self.path) as aside, pq.ParquetWriter(aside, schema, compression="zstd") as writer:
            for rows, faults, titles in clean_all(articles, self.settings, cores):
                dropped += faults
                costly += titles
                if rows:
                    writer.write_table(self._table([text for text, _ in rows], [page for _, page in rows], schema))
            writer.add_key_value_metadata({_COUNTS: json.dumps({"pages": pages, "dropped": dropped, "costly": costly})})

    def counts(self) -> tuple[Counter[str], Counter[str], list[str]]:
        """Pages by what became of them, sentences dropped by why, and the titles of pages that were too costly."""
        metadata = pq.read_metadata(self.path).metadata or {}
        counts = json.loads(metadata[_COUNTS.encode()])
        return Counter(counts["pages"]), Counter(counts["dropped"]), counts["costly"]

    def _articles(self, pages: Counter[str], progress: bool) -> Iterator[Page]:
        """What there is to clean, counting what is not."""
        for page in read_pages(self.source, self.settings.format, progress=progress):
            pages["seen"] += 1
            if isinstance(page, Skipped):
                pages[page.reason] += 1
            else:
                pages["kept"] += 1
                yield page

    def _table(self, texts: list[str], pages: list[str | None], schema: pa.Schema) -> pa.Table:
        threshold = self.settings.heldout * 2**64
        columns = [texts, pages, [_hash(text) for text in texts]]
        columns.append([_hash(text, f"heldout {self.seed}") < threshold for text in texts])
        if RANK in schema.names:
            columns.append([_hash(text, f"sample {self.seed}") for text in texts])
        return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)


def shards_of(source: Path, into: Path, settings: Corpus, seed: int) -> list[Shard]:
    """A shard for each file of `source`, in a work folder beside `into`; what is left of other work is removed.

    Raises:
        DataError: there is no file.
    """
    code = [file_digest(path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    inputs = json.dumps([settings.model_dump(), seed, *code])
    work = into.with_name(f".{into.name}.work") / hashlib.sha256(inputs.encode()).hexdigest()[:16]
    if work.parent.exists():
        for other in work.parent.iterdir():
            if other != work:
                shutil.rmtree(other)
    work.mkdir(parents=True, exist_ok=True)
    return [Shard(file, work / f"{file_digest(file)[:32]}.parquet", settings, seed) for file in files_of(source)]


def files_of(source: Path) -> list[Path]:
    """The file `source`, or those of the folder, numbers in their names in the order of numbers."""
    if source.is_file():
        return [source]
    files = [path for path in source.rglob("*") if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise DataError(f"{source} holds no file; run `dvc repro fetch`, and see sources.corpus in params.yaml")
    return sorted(files, key=lambda path: _natural(path.relative_to(source).as_posix()))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _hash(text: str, salt: str = "") -> int:
    normal = " ".join(text.casefold().split())
    return int.from_bytes(hashlib.blake2b(normal.encode(), digest_size=8, key=salt.encode()).digest())
