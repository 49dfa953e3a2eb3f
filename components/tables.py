"""Tables that others wrote, read row by row: CSV, TSV, JSON Lines, Parquet and plain text, each cell with its place."""

import csv
import gzip
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from components.config.tables import Place as Column
from components.config.tables import Table
from components.errors import DataError
from components.text import well_formed

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet", ".txt")  # all but .parquet also with .gz behind


class Row(NamedTuple):
    """The cells of one row that were asked for; `number` is that of its first line, in Parquet of the row, from 1."""

    path: Path
    number: int
    cells: Mapping[Column, Any]

    @property
    def place(self) -> str:
        """File and line, for a message."""
        return f"{self.path}, {'row' if ending(self.path) == '.parquet' else 'line'} {self.number}"

    def text(self, column: Column) -> str:
        """The text of a cell, well-formed and without white space around it; '' for an empty cell.

        Raises:
            DataError: the cell holds something else than a text.
        """
        value = self.cells[column]
        if value is None:
            return ""
        if not isinstance(value, str):
            raise DataError(f"{self.place}: {column} is {_shown(value)}, not a text")
        return well_formed(value).strip()

    def number_in(self, column: Column) -> float | None:
        """The finite number of a cell; None for an empty cell.

        Raises:
            DataError: the cell holds no such number.
        """
        value = self.cells[column]
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{self.place}: {column} is {_shown(value)}, not a number")
        return number


def table_rows(key: str, table: Table, folder: Path) -> Iterator[Row]:
    """The rows of a table that are those of its `where`, each with the columns that it takes.

    Args:
        key: where `table` stands in params.yaml, such as `sets.mine`, for messages.
        folder: of its fetched source.

    Raises:
        DataError: as `table_files` and `read_rows`, or `where` leaves no row.
    """
    files = table_files(folder, key, file=table.file, config=table.config, split=table.split)
    columns = [*table.places, *table.where]
    seen = kept = 0
    for row in read_rows(files, columns, key, header=table.header):
        seen += 1
        if all(_is(row.cells[column], value) for column, value in table.where.items()):
            kept += 1
            yield row
    if not kept:
        raise DataError(f"{files[0]}: none of its {seen:,} rows has the values of {key}.where in params.yaml")


def table_files(
    folder: Path, where: str, *, file: str | None = None, config: str | None = None, split: str | None = None
) -> list[Path]:
    """The files of one table in the folder of a source, in order of name.

    Args:
        folder: what was fetched.
        where: the key of params.yaml that errors name, such as `sets.mine`.
        file: a path in the folder, which may hold `*` for the shards of one table.
        config, split: of a hub dataset, resolved by the library datasets from the README's metadata or, without any,
            from the names of the files.

    Raises:
        DataError: no file fits, or without these three more than one does.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is missing; run `dvc repro fetch`")
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    if config is not None or split is not None:
        return _hub_files(folder, where, config, split, files)
    if file is not None:
        chosen = [path for name, path in files.items() if name == file or fnmatchcase(name, file)]
        if not chosen:
            raise DataError(f"{folder} has no file {file!r}, only {_some(files)}; see {where}.file in params.yaml")
        return chosen
    tables = {name: path for name, path in files.items() if ending(path)}
    if len(tables) > 1:  # of a repository, README and licence are no table beside others
        tables = {name: path for name, path in tables.items() if ending(path) != ".txt"} or tables
    if len(tables) != 1:
        raise DataError(
            f"{folder} holds {_some(tables or files)}; name the {'/'.join(ENDINGS)} file to read as {where}.file, or a "
            f"hub dataset's {where}.split"
        )
    return list(tables.values())


def read_rows(
    files: Sequence[Path], columns: Iterable[Column], where: str, *, header: bool | None = None
) -> Iterator[Row]:
    """The rows of the files of one table, in order, with the cells of `columns`.

    A column is named or numbered from 1. `name.key` and `name.2` also reach into cells that hold an object or a list,
    where no column has that very name; beyond the end of a list the cell is empty. Plain text has one column, 1.

    Args:
        header: whether the first line of a CSV or TSV file names its columns; None: only where `columns` are names.

    Raises:
        DataError: a file is broken, empty or not in UTF-8, or it lacks a column.
    """
    wanted = list(dict.fromkeys(columns))
    named = any(isinstance(column, str) for column in wanted)
    count = 0
    for path in files:
        for row in _rows(path, wanted, where, header=named if header is None else header):
            count += 1
            yield row
    if not count:
        raise DataError(f"{', '.join(map(str, files))}: no rows; see {where} in params.yaml")


def ending(path: Path) -> str:
    """One of `ENDINGS`, compressed or not; '' for other files."""
    name = path.name.lower()
    if name.endswith(".parquet.gz"):
        return ""
    return next((each for each in ENDINGS if name.removesuffix(".gz").endswith(each)), "")


def _rows(path: Path, columns: list[Column], where: str, *, header: bool) -> Iterator[Row]:
    if not path.is_file():
        raise DataError(f"{path} is missing; run `dvc repro fetch`")
    match ending(path):
        case ".csv" | ".tsv" as kind:
            return _readable(path, _separated(path, columns, where, tab=kind == ".tsv", header=header))
        case ".jsonl":
            return _readable(path, _json_lines(path, columns, where))
        case ".txt":
            return _readable(path, _lines(path, columns, where))
        case ".parquet":
            return _parquet(path, columns, where)
        case _:
            raise DataError(f"{path}: a table is a {', '.join(ENDINGS)} file; see {where} in params.yaml")


def _readable(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """`rows`, with a clear sentence for what is no text in UTF-8 or is truncated."""
    number = 0
    try:
        for row in rows:
            number = row.number
            yield row
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {_undecodable_line(path)}: not UTF-8 ({error.reason}); convert the file, for example by "
            "iconv -f latin1 -t utf-8"
        ) from None
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is broken or truncated after line {number}: {error}") from None


def _separated(path: Path, columns: list[Column], where: str, *, tab: bool, header: bool) -> Iterator[Row]:
    """CSV by its usual quotation marks; in TSV they are part of the text. Cells stay texts, whatever they look like."""
    with _opened(path) as lines:
        rows = csv.reader(lines, "excel-tab", quoting=csv.QUOTE_NONE) if tab else csv.reader(lines, strict=True)
        names: list[str] | None = None
        places: dict[Column, int] = {}
        last = 0
        while True:
            try:
                cells = next(rows, None)
            except csv.Error as error:
                raise DataError(f"{path}, line {last + 1}: not {'TSV' if tab else 'CSV'} ({error})") from None
            if cells is None:
                return
            number, last = last + 1, rows.line_num
            if not cells:
                continue  # an empty line
            if names is None:
                names = cells if header else [str(place) for place in range(1, len(cells) + 1)]
                places = _places(f"{path}, line {number}", columns, names, where, header=header, tab=tab)
                if header:
                    continue
            if len(cells) != len(names):
                quoted = "" if tab else "; a text with a comma, a quotation mark or a line break needs quotation marks"
                raise DataError(
                    f"{path}, line {number}: {_cells(len(cells))}, where the first line has {len(names)}{quoted}"
                )
            yield Row(path, number, {column: cells[place] for column, place in places.items()})


def _places(
    place: str, columns: list[Column], names: list[str], where: str, *, header: bool, tab: bool
) -> dict[Column, int]:
    """Where each column stands among `names`."""
    twice = sorted({name for name in names if names.count(name) > 1})
    found: dict[Column, int] = {}
    for column in columns:
        if isinstance(column, int):
            if column > len(names):
                raise DataError(f"{place}: no column {column}, only {_cells(len(names))}; see {where} in params.yaml")
            found[column] = column - 1
        elif column in twice:
            raise DataError(f"{place}: {column!r} names more than one column; rename one, or give its number")
        elif column in names and header:
            found[column] = names.index(column)
        else:
            separator = next((mark for mark in ",;\t|" if len(names) == 1 and mark in names[0]), None)
            hint = f" (its cells seem to be separated by {separator!r}, not by {'a tab' if tab else 'commas'})"
            raise DataError(
                f"{place}: no column {column!r}, only {', '.join(names)[:200]}{hint if separator else ''}; see {where} "
                "in params.yaml"
            )
    return found


def _json_lines(path: Path, columns: list[Column], where: str) -> Iterator[Row]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{place}: not JSON ({error.msg})") from None
            except RecursionError:
                raise DataError(f"{place}: JSON nested too deep") from None
            if isinstance(record, list):
                record = dict(enumerate(record, 1))
            elif not isinstance(record, dict):
                raise DataError(f"{place}: neither a JSON object nor a list")
            yield Row(path, number, {column: _cell(place, record, column, where) for column in columns})


def _lines(path: Path, columns: list[Column], where: str) -> Iterator[Row]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if text := line.strip():
                place = f"{path}, line {number}"
                yield Row(path, number, {column: _cell(place, {1: text}, column, where) for column in columns})


def _parquet(path: Path, columns: list[Column], where: str) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        heads = {column: _head(column, names) for column in columns}
        for column, head in heads.items():
            if head not in names:
                raise DataError(f"{path}: no column {column!r}, only {', '.join(names)}; see {where} in params.yaml")
        number = 0
        for batch in file.iter_batches(columns=sorted({str(head) for head in heads.values()})):
            for record in batch.to_pylist():
                number += 1
                place = f"{path}, row {number}"
                numbered = {column: record[head] for column, head in heads.items() if isinstance(column, int)}
                cells = {column: _cell(place, {**record, **numbered}, column, where) for column in columns}
                yield Row(path, number, cells)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is broken or truncated: {' '.join(str(error).split())}") from None


def _head(column: Column, names: list[str]) -> Column:
    """The name of the Parquet column that `column` is, or reaches into."""
    if isinstance(column, int):
        return names[column - 1] if column <= len(names) else column
    return column if column in names else column.rpartition(".")[0] or column


def _cell(place: str, record: Mapping[Any, Any], column: Column, where: str) -> Any:
    if column in record:
        return record[column]
    head, _, tail = column.rpartition(".") if isinstance(column, str) else ("", "", "")
    inner = record.get(head)
    if isinstance(inner, Mapping) and tail in inner:
        return inner[tail]
    if isinstance(inner, Sequence) and not isinstance(inner, str) and tail.isdigit() and int(tail):
        return inner[int(tail) - 1] if int(tail) <= len(inner) else None
    raise DataError(
        f"{place}: no column {column!r}, only {', '.join(map(str, record))[:200]}; see {where} in params.yaml"
    )


def _hub_files(
    folder: Path, where: str, config: str | None, split: str | None, files: Mapping[str, Path]
) -> list[Path]:
    """The files of a hub dataset's config and split, by the library datasets."""
    from datasets import load_dataset_builder

    root, name = folder, config
    if config is not None and (folder / config).is_dir() and not (folder / "README.md").is_file():
        root, name = folder / config, None
    try:
        builder = load_dataset_builder(str(root), name)
        splits = {str(each): paths for each, paths in (builder.config.data_files or {}).items()}
    except Exception as error:  # of several kinds, by what the folder and its README hold
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{folder} is no hub dataset with that config ({reason}); see {where} in params.yaml") from None
    wanted = split or "train"
    if wanted in ("dev", "val", "valid") and wanted not in splits:
        wanted = "validation"  # as the library calls it where files are named so
    if wanted not in splits:
        raise DataError(f"{folder} has no split {wanted!r}, only {_some(splits)}; see {where} in params.yaml")
    chosen = {os.path.realpath(path) for path in splits[wanted]}
    return [path for path in files.values() if os.path.realpath(path) in chosen]


def _is(cell: object, value: str | int | float | bool) -> bool:
    """Whether a cell holds a value of params.yaml; the cells of CSV and TSV are texts."""
    if isinstance(cell, str) and not isinstance(value, str):
        return cell.strip().lower() == str(value).lower()
    return cell == value and isinstance(cell, bool) == isinstance(value, bool)


def _undecodable_line(path: Path) -> int:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8-sig")
            except UnicodeDecodeError:
                return number
    return 1


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "") or "no file"


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _shown(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)[:80]
