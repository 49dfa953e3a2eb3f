"""Views on disk: one Parquet shard per chunk of sentences, each written whole, so that a killed stage goes on.

Sentences are tokenised once, by the view of kind `identity`; every other view is made from its shards, one by one.
"""

import hashlib
import json
import shutil
import zlib
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.random import Generator, Philox, SeedSequence

from components.augmentation.tokens import Tokens, tokenise, tokenise_words
from components.augmentation.views import span_mask, token_cutoff, token_shuffle, word_repetition
from components.code import code_digests
from components.config import Params
from components.config.augmentation import (
    Identity,
    SpanMask,
    TokenCutoff,
    TokenShuffle,
    View,
    WordRepetition,
    view_columns,
)
from components.errors import ConfigError, DataError
from components.files import file_digest, folder_written_whole, written_whole
from components.paths import CORPUS, SOURCES, VIEWS
from components.processes import usable_cores
from components.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHUNK = 16384  # sentences; part of what a seed means, so never fitted to the machine
SUMMARY = "_summary.json"  # the underscore keeps it from those who read the folder as one Parquet table
MADE_FROM = "_made_from.json"  # by which a view that is up to date is told; DVC does not heed it, see .dvcignore
SPECIAL_TOKENS = {TokenCutoff: "pad_token_id", SpanMask: "mask_token_id"}  # what a kind of view puts in
WORD_STARTS = "word_starts"  # beside the identity's tokens, where some view repeats whole words

Derived = WordRepetition | TokenShuffle | TokenCutoff | SpanMask


class ViewShards(Protocol):
    """A view about to be made: its shards can be made in any order, by any process that sees the folders."""

    @property
    def name(self) -> str:
        """Of the view."""
        ...

    @property
    def work(self) -> Path:
        """Where the shards gather."""
        ...

    @property
    def rows(self) -> int:
        """Of all shards together."""
        ...

    def __len__(self) -> int:
        """How many shards there are."""
        ...

    def make(self, index: int) -> int:
        """Write a shard, unless it is done; returns its rows."""
        ...


def make_view(
    name: str,
    params: Params,
    *,
    corpus: Path = CORPUS / "train.parquet",
    sources: Path = SOURCES,
    views: Path = VIEWS / "train",
    chunk: int = CHUNK,
) -> dict[str, Any]:
    """Write `views`/`name`/part-*.parquet, row for row in line with `corpus`, and a summary beside the shards.

    Columns: `id` int64 and `<name>` list<int32>, content tokens without special ones; a span mask has `<name>_near` and
    `<name>_far` instead, both null where a sentence is too short for three different views. The same seed, input and
    chunk give the same bytes, on any number of cores. The finished shards of an interrupted call, or of other machines,
    are used if their input was the same, and thrown away if not. A whole view of the same input stays.

    Returns:
        The summary: rows, left_out (rows that are null), mean_length (tokens, by column); for the identity also
        pad_token_id and mask_token_id of its tokenizer, null where that has none.

    Raises:
        ConfigError: no view of that name, or one that the tokenizer can't give.
        DataError: the input is missing, empty, or not what the stage before writes.
    """
    shards = view_shards(name, params, corpus=corpus, sources=sources, views=views, chunk=chunk)
    if (summary := finished(shards, views / name)) is not None:
        return summary
    # The tokenizer itself takes all cores, so its shards go one after the other. For the rest threads are enough:
    # reading, numpy on whole arrays and writing all leave the interpreter to each other.
    threads = 1 if isinstance(shards, _IdentityShards) else usable_cores()
    with _progress(name, shards.rows) as progress, ThreadPoolExecutor(threads) as pool:
        for rows in pool.map(shards.make, range(len(shards))):
            progress.update(rows)
    if isinstance(shards, _IdentityShards):
        special = {key: getattr(shards.tokenizer, key) for key in SPECIAL_TOKENS.values()}
        return _finish(shards.work, views / name, [name], special)
    return _finish(shards.work, views / name, view_columns(name, params.augmentation.views[name]), {})


def view_shards(
    name: str,
    params: Params,
    *,
    corpus: Path = CORPUS / "train.parquet",
    sources: Path = SOURCES,
    views: Path = VIEWS / "train",
    chunk: int = CHUNK,
) -> ViewShards:
    """The shards of a view, some of which may be done; `make_view`, called afterwards, makes the rest.

    Raises:
        ConfigError, DataError: as `make_view`.
    """
    specs = params.augmentation.views
    if name not in specs:
        raise ConfigError(f"augmentation.views has no {name!r}; it has {', '.join(specs)}")
    spec = specs[name]
    if isinstance(spec, Identity):
        return _identity_shards(name, params, corpus, sources / params.encoder.source, views, chunk)
    return _derived_shards(name, spec, params, views)


@dataclass(frozen=True)
class _IdentityShards:
    """Chunk by chunk of the sentences, tokenised; `words` also marks where words begin."""

    name: str
    work: Path
    rows: int
    corpus: Path
    encoder: Path
    max_length: int
    words: bool
    chunk: int

    def __len__(self) -> int:
        return -(-self.rows // self.chunk)

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        return _tokenizer(self.encoder)

    def make(self, index: int) -> int:
        shard = self.work / f"part-{index:05}.parquet"
        first = index * self.chunk
        rows = min(self.chunk, self.rows - first)
        if shard.exists():
            return rows
        table = _rows(self.corpus, first, rows)
        texts = table["text"].to_pylist()
        columns = {"id": table["id"]}
        if self.words:
            tokens, starts = tokenise_words(texts, self.tokenizer, self.max_length)
            columns[WORD_STARTS] = _lists(starts, tokens)
        else:
            tokens = tokenise(texts, self.tokenizer, self.max_length)
        _write(shard, columns | {self.name: _lists(tokens.ids, tokens)})
        return rows


def _identity_shards(
    name: str, params: Params, corpus: Path, encoder: Path, views: Path, chunk: int
) -> _IdentityShards:
    rows = _sentences(corpus).metadata.num_rows
    vocabulary = hashlib.sha256(_tokenizer(encoder).backend_tokenizer.to_str().encode()).hexdigest()
    max_length = params.augmentation.max_length
    words = any(isinstance(view, WordRepetition) and view.unit == "word" for view in params.augmentation.views.values())
    work = _work_folder(views, name, [file_digest(corpus), vocabulary, max_length, words, chunk])
    return _IdentityShards(name, work, rows, corpus, encoder, max_length, words, chunk)


@dataclass(frozen=True)
class _DerivedShards:
    """Shard by shard of the identity, each with a generator of its own."""

    name: str
    work: Path
    rows: int
    spec: Derived
    identity: str
    shards: list[Path]
    special: dict[str, Any]
    seed: int

    def __len__(self) -> int:
        return len(self.shards)

    def make(self, index: int) -> int:
        shard = self.work / self.shards[index].name
        if shard.exists():
            return int(pq.read_metadata(shard).num_rows)
        table = pq.read_table(self.shards[index])
        seed = SeedSequence([self.seed, zlib.crc32(self.name.encode())], spawn_key=(index,))
        columns = _columns(self.name, self.spec, table, self.identity, self.special, Generator(Philox(seed)))
        _write(shard, {"id": table["id"]} | columns)
        return int(table.num_rows)


def _derived_shards(name: str, spec: Derived, params: Params, views: Path) -> _DerivedShards:
    identity = params.augmentation.identity
    source = views / identity
    special = _special(source)
    key = _special_token(spec)
    if key is not None and special[key] is None:
        raise ConfigError(
            f"view {name!r} needs a {key}, which the tokenizer of source {params.encoder.source!r} lacks; drop the "
            "view and the variants that train on it, or leave those out of experiment.variants"
        )
    shards = sorted(source.glob("part-*.parquet"))
    work = _work_folder(views, name, [spec.model_dump(), params.seed, *map(file_digest, shards)])
    return _DerivedShards(name, work, special["rows"], spec, identity, shards, special, params.seed)


def _special(identity: Path) -> dict[str, Any]:
    """The summary of the view in folder `identity`, with its tokenizer's special tokens."""
    try:
        summary: dict[str, Any] = json.loads((identity / SUMMARY).read_text())
    except FileNotFoundError:
        raise DataError(f"{identity} is missing; make it with: dvc repro views") from None
    return summary


def _rows(corpus: Path, first: int, count: int) -> pa.Table:
    """Rows `first` … of the columns id and text, without reading what lies before their row groups."""
    file = pq.ParquetFile(corpus, memory_map=True)
    starts = np.cumsum([0, *(file.metadata.row_group(k).num_rows for k in range(file.num_row_groups))])
    low = int(np.searchsorted(starts, first, side="right")) - 1
    high = int(np.searchsorted(starts, first + count))
    table = file.read_row_groups(range(low, high), columns=["id", "text"])
    return table.slice(first - int(starts[low]), count).combine_chunks()


def _columns(
    name: str, spec: Derived, table: pa.Table, identity: str, special: dict[str, Any], generator: Generator
) -> dict[str, pa.Array]:
    lists = table[identity].combine_chunks()
    tokens = Tokens(lists.flatten().to_numpy(), lists.offsets.to_numpy().astype(np.int64))
    match spec:
        case WordRepetition(rate=rate, unit=unit):
            starts = table[WORD_STARTS].combine_chunks().flatten().to_numpy(False) if unit == "word" else None
            view = word_repetition(tokens, generator, rate=rate, word_starts=starts)
        case TokenShuffle(differs=differs):
            view = token_shuffle(tokens, generator, differs=differs)
        case TokenCutoff(rate=rate, delete=delete):
            view = token_cutoff(tokens, generator, rate=rate, pad_id=special["pad_token_id"], delete=delete)
        case SpanMask(near=near, far=far):
            first, second = span_mask(tokens, generator, near=near, far=far, mask_id=special["mask_token_id"])
            absent = pa.array(first.lengths == 0)
            return {
                f"{name}_near": _lists(first.ids, first, absent),
                f"{name}_far": _lists(second.ids, second, absent),
            }
    return {name: _lists(view.ids, view)}


def _sentences(corpus: Path) -> pq.ParquetFile:
    if not corpus.is_file():
        raise DataError(f"{corpus} is missing; make it with: dvc repro corpus")
    try:
        sentences = pq.ParquetFile(corpus, memory_map=True)
    except pa.ArrowInvalid as error:
        raise DataError(f"{corpus} is no whole Parquet file ({error}); remake it: dvc repro --force corpus") from None
    if not {"id", "text"} <= set(sentences.schema_arrow.names) or sentences.metadata.num_rows == 0:
        raise DataError(f"{corpus} must hold columns id and text and at least one row; look at the corpus stage")
    return sentences


def _tokenizer(encoder: Path) -> "PreTrainedTokenizerBase":
    from components.encoder.pretrained import load_tokenizer  # slow to import, and the derived views do without

    return load_tokenizer(encoder)


def _work_folder(views: Path, name: str, inputs: Iterable[Any]) -> Path:
    """Where the shards gather until they are all there; those of other inputs, or of other code, are removed."""
    code = code_digests([__name__], ["components.config"])
    fingerprint = hashlib.sha256(json.dumps([*inputs, code]).encode()).hexdigest()[:16]
    work = views / f".{name}.work" / fingerprint
    if work.parent.exists():
        for other in work.parent.iterdir():
            if other != work:
                shutil.rmtree(other)
    work.mkdir(parents=True, exist_ok=True)
    for torn in work.glob(".*.tmp"):
        torn.unlink()
    return work


def _finish(work: Path, out: Path, columns: list[str], more: dict[str, Any]) -> dict[str, Any]:
    """Summarise the shards of `work` and let the folder take the place of `out`."""
    rows = present = 0
    totals = dict.fromkeys(columns, 0)
    for shard in sorted(work.glob("part-*.parquet")):
        table = pq.read_table(shard, columns=columns)
        rows += table.num_rows
        present += table.num_rows - table[columns[0]].null_count
        for column in columns:
            totals[column] += pc.sum(pc.list_value_length(table[column])).as_py() or 0
    means = {column: round(total / present, 3) if present else None for column, total in totals.items()}
    digests = {shard.name: file_digest(shard) for shard in sorted(work.glob("part-*.parquet"))}
    (work / MADE_FROM).write_text(json.dumps({"input": work.name, "shards": digests}, indent=2) + "\n")
    summary = {"rows": rows, "left_out": rows - present, "mean_length": means, **more}
    (work / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    with folder_written_whole(out) as aside:
        work.rename(aside)
    work.parent.rmdir()
    return summary


def view_names(params: Params, source: str, needed: Collection[str], folder: Path) -> Iterator[str]:
    """The views to make, one by one, with the tokenizer of `source`, that of kind identity first.

    Of the section `encoder`'s all are made, but those that nobody needs and whose token the tokenizer lacks; of others
    those that are needed.

    Args:
        folder: where the view of kind identity, which tells of the tokenizer, lies once it is made.

    Raises:
        DataError: it isn't made when the second view is asked for.
    """
    identity = params.augmentation.identity
    yield identity
    special = _special(folder / identity)
    for name, view in params.augmentation.views.items():
        key = _special_token(view)
        lacks = key is not None and special[key] is None
        if name != identity and (name in needed or (source == params.encoder.source and not lacks)):
            yield name


def _special_token(view: View) -> str | None:
    """Which of its tokenizer's special tokens a view puts in."""
    if isinstance(view, TokenCutoff) and view.delete:
        return None
    return SPECIAL_TOKENS.get(type(view))


def finished(shards: ViewShards, out: Path) -> dict[str, Any] | None:
    """The summary of the view in `out` where it is that of `shards`, whole; what was begun of it is then removed."""
    try:
        summary: dict[str, Any] = json.loads((out / SUMMARY).read_text())
        files = {path.name: file_digest(path) for path in out.glob("part-*.parquet")}
        same = json.loads((out / MADE_FROM).read_text()) == {"input": shards.work.name, "shards": files}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not same:
        return None
    shutil.rmtree(shards.work.parent)
    return summary


def _lists(values: np.ndarray, tokens: Tokens, absent: pa.Array | None = None) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(tokens.offsets.astype(np.int32)), pa.array(values), mask=absent)


def _write(shard: Path, columns: dict[str, Any]) -> None:
    with written_whole(shard) as aside:
        pq.write_table(pa.table(columns), aside, compression="zstd")


def _progress(name: str, rows: int) -> Progress:
    return Progress(total=rows, desc=name, unit=" sentences", unit_scale=True)
