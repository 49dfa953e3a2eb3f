"""Training rows, tokenised once and read memory-mapped: the parts that a variant's batches are made of."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components import paths
from components.augmentation.tokens import Tokens
from components.config.variants import Part, Roles
from components.encoder.templates import TokenIds
from components.errors import DataError

CACHE = Path(".state/arrow")  # Arrow copies of Parquet files, which alone can be memory-mapped

Rows = NDArray[np.int64]
Digests = NDArray[np.uint64]
Tokenise = Callable[[Sequence[str]], Tokens]


class Column(Protocol):
    """Token ids of one column, without template or special tokens."""

    def __len__(self) -> int: ...

    def take(self, rows: Rows) -> list[TokenIds | None]:
        """The token ids of `rows`; None where a row has none."""
        ...

    def present(self) -> NDArray[np.bool_]:
        """Which rows have token ids, (len,)."""
        ...

    def longest(self) -> int:
        """The most token ids that a row has."""
        ...

    def digests(self) -> Digests:
        """64 bits for the token ids of each row, (len,), equal for equal ones; 0 where a row has none."""
        ...


class StoredColumn:
    """A view written by `components.augmentation`, memory-mapped."""

    def __init__(self, folder: Path, name: str) -> None:
        from datasets import Dataset, disable_progress_bars

        disable_progress_bars()
        stored = Dataset.from_parquet(
            [str(file) for file in sorted(folder.glob("part-*.parquet"))], cache_dir=str(CACHE), columns=[name]
        )
        self._stored = stored.with_format("arrow")
        self._name = name

    def __len__(self) -> int:
        return len(self._stored)

    def take(self, rows: Rows) -> list[TokenIds | None]:
        lists = pa.concat_arrays(self._stored[rows.tolist()].column(self._name).chunks)
        ids = lists.values.to_numpy(zero_copy_only=False)
        offsets = lists.offsets.to_numpy()
        present = lists.is_valid().to_numpy(zero_copy_only=False)
        return [ids[offsets[i] : offsets[i + 1]] if present[i] else None for i in range(len(lists))]

    def present(self) -> NDArray[np.bool_]:
        return self._stored.data.column(self._name).is_valid().to_numpy()

    def longest(self) -> int:
        return pc.max(pc.list_value_length(self._stored.data.column(self._name))).as_py() or 0

    def digests(self) -> Digests:
        chunks = self._stored.data.column(self._name).chunks
        found = [
            _digests(chunk.values.to_numpy(zero_copy_only=False), chunk.offsets.to_numpy())
            * chunk.is_valid().to_numpy(zero_copy_only=False)
            for chunk in chunks
        ]
        return np.concatenate(found) if found else np.empty(0, dtype=np.uint64)


class TextColumn:
    """A column of a tuple set, tokenised when it is opened; kept in memory."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __len__(self) -> int:
        return len(self._tokens.offsets) - 1

    def take(self, rows: Rows) -> list[TokenIds | None]:
        ids, offsets = self._tokens
        return [ids[offsets[row] : offsets[row + 1]] for row in rows]

    def present(self) -> NDArray[np.bool_]:
        return np.ones(len(self), dtype=np.bool_)

    def longest(self) -> int:
        return int(self._tokens.lengths.max(initial=0))

    def digests(self) -> Digests:
        return _digests(*self._tokens)


class PartRows(NamedTuple):
    """One part of a variant's data: columns and rows to train on, and the same of what is kept from training."""

    part: Part
    columns: Mapping[str, Column]
    rows: Rows
    heldout_columns: Mapping[str, Column]
    heldout: Rows

    def texts(self, rows: Rows) -> Digests:
        """What tells the texts of `rows` apart, (rows, columns): the digest of each; 0 where a row has none."""
        return np.stack([column.digests()[rows] for column in self.columns.values()], axis=-1)


def _digests(ids: NDArray[Any], offsets: NDArray[Any]) -> Digests:
    """Of each list `ids[offsets[i]:offsets[i + 1]]` the sum, modulo 2^64, of every id mixed with its place."""
    first, offsets = int(offsets[0]), offsets.astype(np.int64)
    ids, offsets = ids[first : int(offsets[-1])], offsets - first
    place = np.arange(len(ids), dtype=np.uint64) - np.repeat(offsets[:-1], np.diff(offsets)).astype(np.uint64)
    mixed = (ids.astype(np.uint64) << np.uint64(32)) + place + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # SplitMix64 (Steele et al. 2014)
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)])
    return sums[offsets[1:]] - sums[offsets[:-1]]


def columns_of(roles: Roles) -> list[str]:
    """The distinct columns that play a role, in a fixed order."""
    single = [roles.anchor, roles.positive, *roles.hard, roles.near, roles.far, *roles.levels]
    return list(dict.fromkeys(name for name in single if name is not None))


def load_part(part: Part, tokenise: Tokenise, *, seed: int, views: Path = paths.VIEWS) -> PartRows:
    """Open the columns that `part` names; `seed` draws the tuples that are kept from training.

    `views` is the folder of the views made with the encoder's tokenizer, `components.paths.views_of` of its source.

    Raises:
        DataError: a file or column is missing, views disagree in length, or no row is left.
    """
    names = columns_of(part.roles)
    if part.set == "corpus":
        train, heldout = _views(names, "train", views), _views(names, "heldout", views)
        return PartRows(part, train, _whole_rows(part, train, "train"), heldout, _whole_rows(part, heldout, "heldout"))
    texts = read_tuples(part.set, names)
    columns = {name: TextColumn(tokenise(texts[name])) for name in names}
    shuffled = np.random.default_rng(seed).permutation(len(texts[names[0]]))
    kept = int(len(shuffled) * part.heldout)
    if kept == 0:
        raise DataError(f"{part.set} has {len(shuffled)} whole rows, too few to keep a share of {part.heldout:g} apart")
    return PartRows(part, columns, np.sort(shuffled[kept:]), columns, np.sort(shuffled[:kept]))


def _views(names: Sequence[str], split: str, root: Path) -> dict[str, Column]:
    views: dict[str, Column] = {name: StoredColumn(view_folder(name, split, root), name) for name in names}
    lengths = {name: len(view) for name, view in views.items()}
    if len(set(lengths.values())) != 1:
        raise DataError(f"views of the {split} split differ in their number of rows ({lengths}); run `dvc repro`")
    return views


def _whole_rows(part: Part, columns: Mapping[str, Column], split: str) -> Rows:
    """Rows with a text for every role but near and far, which a batch can do without."""
    needed = columns_of(part.roles.model_copy(update={"near": None, "far": None}))
    rows = np.flatnonzero(np.logical_and.reduce([columns[name].present() for name in needed]))
    if not len(rows):
        raise DataError(f"no row of the {split} split has all of {', '.join(needed)}; look at the corpus and its views")
    return rows


def view_folder(column: str, split: str, views: Path = paths.VIEWS) -> Path:
    """The folder of the view with this column, in `views`; `span_mask_near` lies in that of `span_mask`.

    Raises:
        DataError: there is none, or it is broken.
    """
    for view in (column, column.rpartition("_")[0]):
        folder = views / split / view
        first = next(iter(sorted(folder.glob("part-*.parquet"))), None) if view else None
        try:
            if first is not None and column in pq.read_schema(first).names:
                return folder
        except pa.ArrowInvalid:
            raise DataError(f"{first} is broken: run dvc checkout, or dvc repro") from None
    raise DataError(
        f"no view {column!r} under {views / split}; name a variant that trains on it in experiment.variants and run "
        "`dvc repro`"
    )


def tuple_file(name: str) -> Path:
    """Where a set of tuples lies: `nli`, one that an LLM wrote (`tuples/sts`) or others made (`sets/mine`)."""
    return paths.NLI / "train.parquet" if name == "nli" else paths.DATA / f"{name}.parquet"


def read_tuples(name: str, columns: Sequence[str]) -> dict[str, list[str]]:
    """The texts of `columns` of a set of tuples, rows that lack one of them left out.

    Raises:
        DataError: the file or a column is missing.
    """
    path = tuple_file(name)
    if not path.is_file():
        also = ", and name a source `nli` in params.yaml" if name == "nli" else ""
        raise DataError(f"{path} is missing; run `dvc repro`{also}")
    table = pq.read_table(path)
    for column in columns:
        if column not in table.column_names:
            raise DataError(f"{path} has no column {column!r}, only {', '.join(table.column_names)}")
    return table.select(list(columns)).drop_null().to_pydict()
