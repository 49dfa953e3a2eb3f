"""DVC stage `sets`: pairs and tuples that others made, from their own files and columns into the one schema."""

import argparse
import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.config import load_params
from components.config.sets import TupleSet
from components.errors import DataError, exit_on_error
from components.files import folder_written_whole
from components.graph.plan import Demand
from components.paths import SETS, SOURCES
from components.synthesis.tuples import SCHEMA
from components.text import well_formed

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
NULLABLE = pa.schema([field.with_nullable(field.name in {"intermediate", "negative"}) for field in SCHEMA])

Record = Mapping[str, Any]


def read_set(name: str, tuples: TupleSet, fetched: Path = SOURCES) -> pa.Table:
    """The rows of a set, in its file's order, in the columns of all tuples; those that it lacks are null.

    Rows with a gap in one of its columns are left out, and so are those that `where` does not ask for.

    Raises:
        DataError: the file is missing, broken, or lacks a column; its text names the row, where there is one.
    """
    where = f"sets.{name} in params.yaml"
    path = _file(where, tuples, fetched / tuples.source)
    provenance = json.dumps({"source": tuples.source, "file": path.name})
    kept: list[dict[str, str | None]] = []
    seen = chosen = 0
    for number, record in enumerate(_records(path, tuples), 1):
        seen += 1
        row: dict[str, str | None] = {"intermediate": None, "negative": None, "provenance": provenance}
        for column, value in tuples.where.items():
            _require_column(where, path, number, record, column)
            if record[column] != value:
                break
        else:
            chosen += 1
            for role, place in tuples.columns.items():
                text = _text(where, path, number, record, str(place))
                row[role] = text or None
            if all(row[role] for role in tuples.columns):
                kept.append(row)
    if tuples.unique:
        kept = list({row["anchor"]: row for row in kept}.values())
    if not kept:
        raise DataError(
            f"{path} gives no row: of {seen:,} {chosen:,} are those of `where`, and none has all of "
            f"{', '.join(map(str, tuples.columns.values()))}; see {where}"
        )
    return pa.Table.from_pylist(kept, schema=NULLABLE)


def make_sets(sets: Mapping[str, TupleSet], fetched: Path = SOURCES, into: Path = SETS) -> dict[str, int]:
    """Write the folder `into` whole, a Parquet file for each set; how many rows each has.

    Raises:
        DataError: as `read_set`; what stood at `into` is left as it was.
    """
    counts = {}
    with folder_written_whole(into) as aside:
        for name, tuples in sets.items():
            table = read_set(name, tuples, fetched)
            pq.write_table(table, aside / f"{name}.parquet", compression="zstd")
            counts[name] = table.num_rows
    return counts


def _file(where: str, tuples: TupleSet, folder: Path) -> Path:
    """The file to read of a source.

    Raises:
        DataError: there is none, or more than one to choose from.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    if tuples.file is not None:
        if tuples.file not in files:
            raise DataError(f"{folder} has no file {tuples.file!r}, only {_some(files)}; see {where}, file")
        return files[tuples.file]
    tables = {name: path for name, path in files.items() if _ending(path)}
    if len(tables) != 1:
        raise DataError(
            f"{folder} holds {_some(tables or files)}: name the one to read, {', '.join(ENDINGS)}, as `file` of {where}"
        )
    return next(iter(tables.values()))


def _some(files: Mapping[str, Path]) -> str:
    return ", ".join(list(files)[:5]) + (", …" if len(files) > 5 else "") or "no file"


def _ending(path: Path) -> str:
    """One of `ENDINGS`, compressed or not; nothing for other files."""
    name = path.name.removesuffix(".gz")
    return next((ending for ending in ENDINGS if name.endswith(ending)), "")


def _records(path: Path, tuples: TupleSet) -> Iterator[Record]:
    match _ending(path):
        case ".jsonl":
            return _json_lines(path)
        case ".parquet":
            return _parquet(path, [str(each) for each in (*tuples.columns.values(), *tuples.where)])
        case ".csv" | ".tsv" as ending:
            return _separated(path, tab=ending == ".tsv", numbered=tuples.numbered)
        case _:
            raise DataError(f"{path}: a set is read from {', '.join(ENDINGS)} files")


def _json_lines(path: Path) -> Iterator[Record]:
    number = 0
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise DataError(f"{path}, line {number}: no JSON object")
                yield record
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}: no JSON object ({error.msg})") from None
    except RecursionError:
        raise DataError(f"{path}, line {number}: JSON nested too deep") from None
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is broken or truncated after line {number}: {error}") from None


def _parquet(path: Path, columns: list[str]) -> Iterator[Record]:
    try:
        file = pq.ParquetFile(path)
        there = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=there or None):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is broken or truncated: {' '.join(str(error).split())}") from None


def _separated(path: Path, *, tab: bool, numbered: bool) -> Iterator[Record]:
    """CSV by its usual quotation marks; in TSV they are part of the text. Texts stay texts, whatever they look like."""
    number, names = 0, list[str]()
    kind = "TSV" if tab else "CSV"
    try:
        with _opened(path) as lines:
            rows = csv.reader(lines, "excel-tab", quoting=csv.QUOTE_NONE) if tab else csv.reader(lines, strict=True)
            for number, cells in enumerate(rows, 1):
                names = names or ([str(place + 1) for place in range(len(cells))] if numbered else cells)
                if len(cells) != len(names):
                    if cells:
                        raise DataError(
                            f"{path}, row {number}: {len(cells)} cells, where the first row has {len(names)}; in CSV a "
                            "text with a comma, a quotation mark or a line break needs quotation marks around it"
                        )
                    continue  # an empty line
                if numbered or number > 1:
                    yield dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, row {number + 1}: no {kind} ({error})") from None
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no whole {kind} file in UTF-8, after row {number}: {error}") from None


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _require_column(where: str, path: Path, number: int, record: Record, column: str) -> None:
    if column not in record:
        raise DataError(f"{path}, row {number}: no column {column!r}, only {', '.join(record)}; see {where}")


def _text(where: str, path: Path, number: int, record: Record, column: str) -> str:
    """The text in a column, without white space around it; '' for none."""
    _require_column(where, path, number, record, column)
    value = record[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{path}, row {number}: {column} is {json.dumps(value, default=str)[:80]}, not a text")
    return well_formed(value).strip()


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m components.synthesis.sets",
        description="the sets of params.yaml that experiment.variants train on, to data/sets",
    ).parse_args()
    params = load_params()
    counts = make_sets({name: params.sets[name] for name in Demand.of(params).sets})
    told = ", ".join(f"{name} {count:,} rows" for name, count in counts.items())
    sys.stdout.write(f"{SETS}: {told or 'empty, no variant of experiment.variants trains on one'}\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
