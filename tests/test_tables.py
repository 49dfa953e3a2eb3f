"""Tables in every format, and one sentence with file and line for what is none."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import DataError
from components.tables import Column, read_rows, table_files

WRITERS: dict[str, Callable[[Path], object]] = {
    "pairs.csv": lambda path: path.write_text('a,b\n"Who, then?","one\ntwo"\n', newline=""),
    "pairs.tsv.gz": lambda path: path.write_bytes(gzip.compress(b'a\tb\n"Who, then?\tone\n')),
    "pairs.jsonl": lambda path: path.write_text('{"a": "Who, then?", "b": "one"}\n\n'),
    "lists.jsonl": lambda path: path.write_text('["Who, then?", "one"]\n'),
    "pairs.parquet": lambda path: pq.write_table(pa.table({"a": ["Who, then?"], "b": ["one"]}), path),
}


def read(path: Path, *columns: Column, **how: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.cells[column] for column in columns) for row in read_rows([path], columns, "sets.x", **how)]


@pytest.mark.parametrize(
    ("name", "columns", "found"),
    [
        ("pairs.csv", ("b", "a"), [("one\ntwo", "Who, then?")]),
        ("pairs.tsv.gz", ("a", "b"), [('"Who, then?', "one")]),
        ("pairs.jsonl", ("a", "b"), [("Who, then?", "one")]),
        ("lists.jsonl", (2, 1), [("one", "Who, then?")]),
        ("pairs.parquet", ("a", 2), [("Who, then?", "one")]),
    ],
)
def test_columns_by_name_or_number(tmp_path: Path, name: str, columns: tuple[Column, ...], found: Any) -> None:
    WRITERS[name](tmp_path / name)
    assert read(tmp_path / name, *columns) == found


@pytest.mark.parametrize(("header", "count"), [(None, 2), (False, 2), (True, 1)])
def test_numbered_columns_with_or_without_a_header(tmp_path: Path, header: bool | None, count: int) -> None:
    (tmp_path / "t.csv").write_text("a,b\nc,d\n")
    assert len(read(tmp_path / "t.csv", 2, header=header)) == count


def test_plain_text_is_one_column(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("A man, sat.\n\n  A dog ran.\n")
    assert read(tmp_path / "t.txt", 1) == [("A man, sat.",), ("A dog ran.",)]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_column_reaches_into_lists_and_objects(tmp_path: Path, ending: str) -> None:
    record = {"query": "q", "neg": ["x", "y"], "translation": {"en": "z"}}
    path = tmp_path / f"t.{ending}"
    if ending == "jsonl":
        path.write_text(json.dumps(record))
    else:
        pq.write_table(pa.Table.from_pylist([record]), path)
    assert read(path, "neg.2", "neg.3", "translation.en") == [("y", None, "z")]


def test_places_are_the_lines_where_rows_begin(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"one\ntwo",b\n\nc,d\n', newline="")
    places = [row.place.rpartition(", ")[2] for row in read_rows([tmp_path / "t.csv"], ["a"], "sets.x")]
    assert places == ["line 2", "line 5"]


@pytest.mark.parametrize(
    ("name", "content", "columns", "told"),
    [
        ("t.csv", b"q,b\n1,2\n", ["a"], r"t.csv, line 1: no column 'a', only q, b; see sets.x in params.yaml$"),
        ("t.csv", b"a;b\n1;2\n", ["a"], r"t.csv, line 1: no column 'a', only a;b \(its cells .* separated by ';', not"),
        ("t.csv", b"only\n", [1, 2], r"t.csv, line 1: no column 2, only 1 cell"),
        ("t.csv", b"a,a\n1,2\n", ["a"], r"t.csv, line 1: 'a' names more than one column"),
        ("t.csv", b"a,b\n1,2\n1\n", ["a"], r"t.csv, line 3: 1 cell, where the first line has 2; a text with a comma"),
        ("t.csv", b'a,b\n1,"2\n', ["a"], r"t.csv, line 2: not CSV"),
        ("t.csv", b"a,b\n", ["a"], r"t.csv: no rows; see sets.x in params.yaml$"),
        ("t.tsv", "a\tb\n\u00e9\tb\n".encode("latin-1"), ["a"], r"t.tsv, line 2: not UTF-8 .* iconv"),
        ("t.txt", b"", [1], r"t.txt: no rows"),
        ("t.txt", b"a\n", ["a"], r"t.txt, line 1: no column 'a'"),
        ("t.jsonl", b'{"a": "x"}\n{"a"\n', ["a"], r"t.jsonl, line 2: not JSON"),
        ("t.jsonl", b'{"b": "x"}\n', ["a"], r"t.jsonl, line 1: no column 'a', only b"),
        ("t.jsonl", b"3\n", ["a"], r"t.jsonl, line 1: neither a JSON object nor a list"),
        ("t.jsonl.gz", b"no gzip", ["a"], r"t.jsonl.gz is broken or truncated after line 0"),
        ("t.parquet", b"no", ["a"], r"t.parquet is broken or truncated"),
        ("t.xlsx", b"no", ["a"], r"t.xlsx: a table is a .csv, .tsv, .jsonl, .parquet, .txt file"),
    ],
)
def test_what_is_no_table_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, columns: list[Column], told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=told) as raised:
        read(tmp_path / name, *columns)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("cell", "told"), [('"x"', 'line 1: a is "x", not a number'), ("true", "not a number"), ("NaN", "not a number")]
)
def test_a_score_that_is_no_number_is_one_sentence(tmp_path: Path, cell: str, told: str) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"a": {cell}}}')
    row = next(read_rows([tmp_path / "t.jsonl"], ["a"], "sets.x"))
    with pytest.raises(DataError, match=told):
        row.number_in("a")


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A hub dataset's folder, as sentence-transformers/all-nli has it: a folder for each config."""
    for config in ("pair", "triplet"):
        (tmp_path / config).mkdir()
        for split in ("dev", "train"):
            table = pa.table({"anchor": [f"{config} {split}"]})
            pq.write_table(table, tmp_path / config / f"{split}-00000-of-00001.parquet")
    return tmp_path


CARD = """---
configs:
- config_name: pair
  data_files: [{split: train, path: pair/train-*}, {split: dev, path: pair/dev-*}]
- config_name: triplet
  data_files: [{split: train, path: triplet/train-*}, {split: dev, path: triplet/dev-*}]
---
"""


@pytest.mark.parametrize("card", [True, False])
def test_config_and_split_of_a_hub_dataset(hub: Path, card: bool) -> None:
    if card:
        (hub / "README.md").write_text(CARD)
    [file] = table_files(hub, "sets.x", config="triplet", split="dev")
    assert read(file, "anchor") == [("triplet dev",)]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"config": "trip"}, r"no hub dataset with that config \(.*'pair', 'triplet'\]\); see sets.x"),
        ({"config": "pair", "split": "test"}, r"no split 'test', only train, dev; see sets.x in params.yaml$"),
        ({"file": "a.csv"}, r"no file 'a.csv', only README.md, pair/dev-00000-of-00001.parquet"),
        ({}, r"holds pair/dev-.*; name the .* file to read as sets.x.file, or a hub dataset's sets.x.split"),
    ],
)
def test_a_choice_that_a_source_lacks_is_one_sentence(hub: Path, chosen: dict[str, str], told: str) -> None:
    (hub / "README.md").write_text(CARD)
    with pytest.raises(DataError, match=told):
        table_files(hub, "sets.x", **chosen)  # type: ignore[arg-type]


def test_the_shards_of_a_table_are_read_in_order(tmp_path: Path) -> None:
    for number in (1, 0):
        pq.write_table(pa.table({"a": [str(number)]}), tmp_path / f"train-{number}.parquet")
    files = table_files(tmp_path, "sets.x", file="train-*.parquet")
    assert [row.cells["a"] for row in read_rows(files, ["a"], "sets.x")] == ["0", "1"]
