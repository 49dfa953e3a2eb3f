"""Pairs and tuples of others, in the layouts that they have."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.config.sets import TupleSet
from components.errors import DataError
from components.synthesis.sets import make_sets, read_set

PAIR: dict[str, Any] = {"anchor": "question", "positive": "answer"}
LEVELS: dict[str, Any] = {"anchor": "sentence", "positive": "5", "intermediate": "4", "negative": "3"}


def rows(folder: Path, columns: dict[str, Any], **more: Any) -> list[tuple[str | None, ...]]:
    table = read_set("mine", TupleSet(source="mine", columns=columns, **more), folder)
    roles = ("anchor", "positive", "intermediate", "negative")
    return list(zip(*(table[role].to_pylist() for role in roles), strict=True))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def test_graded_tuples_of_json_lines_are_chosen_by_a_field(source: Path) -> None:
    lines = [
        {"sentence": "A plain one.", "5": "", "4": "", "3": "", "split": "other"},
        {"sentence": "A cat sat.", "5": "One cat sat.", "4": "It sat.", "3": "A dog ran.", "split": "aigen"},
    ]
    (source / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = rows(source.parent, LEVELS, where={"split": "aigen"})
    assert found == [("A cat sat.", "One cat sat.", "It sat.", "A dog ran.")]


WRITERS: dict[str, Callable[[Path], object]] = {
    "pairs.csv": lambda path: path.write_text('question,answer\n"Who, then?",12\n'),
    "pairs.tsv": lambda path: path.write_text("question\tanswer\nWho, then?\t12\n"),
    "pairs.jsonl.gz": lambda path: path.write_bytes(gzip.compress(b'{"question": "Who, then?", "answer": "12"}\n')),
    "pairs.parquet": lambda path: pq.write_table(pa.table({"question": ["Who, then?"], "answer": ["12"]}), path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_pairs_of_each_format(source: Path, name: str) -> None:
    WRITERS[name](source / name)
    assert rows(source.parent, PAIR) == [("Who, then?", "12", None, None)]


def test_columns_of_a_file_without_a_header_are_numbered(source: Path) -> None:
    (source / "pairs.csv").write_text("A man sat.,Somebody sat.\nA dog ran.,It ran.\n")
    assert [row[:2] for row in rows(source.parent, {"anchor": 2, "positive": 1})] == [
        ("Somebody sat.", "A man sat."),
        ("It ran.", "A dog ran."),
    ]


def test_rows_with_a_gap_are_left_out(source: Path) -> None:
    (source / "pairs.csv").write_text("question,answer\na,\nb,c\n")
    assert len(rows(source.parent, PAIR)) == 1


@pytest.mark.parametrize(("unique", "count"), [(True, 1), (False, 2)])
def test_an_anchor_stands_once_unless_asked_otherwise(source: Path, unique: bool, count: int) -> None:
    (source / "pairs.csv").write_text("question,answer\na,b\na,c\n")
    assert len(rows(source.parent, PAIR, unique=unique)) == count


@pytest.mark.parametrize(
    ("name", "content", "more", "told"),
    [
        ("pairs.csv", "q,answer\na,b\n", {}, r"pairs.csv, row 1: no column 'question', only q, answer; see sets.mine"),
        ("pairs.jsonl", '{"question": "a", "answer": 3}\n', {}, r"row 1: answer is 3, not a text"),
        ("pairs.jsonl", '{"question": "a"\n', {}, r"pairs.jsonl, line 1: no JSON object"),
        ("pairs.parquet", "no", {}, r"pairs.parquet is broken or truncated"),
        ("pairs.csv", "question,answer\na\n", {}, r"pairs.csv, row 2: 1 cells, where the first row has 2"),
        ("pairs.csv", "question,answer\na,\n", {}, r"gives no row: of 1 1 are those of `where`"),
        ("pairs.csv", "question,answer\na,b\n", {"file": "other.csv"}, r"no file 'other.csv', only pairs.csv"),
        ("pairs.txt", "a", {}, r"holds pairs.txt: name the one to read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    source: Path, name: str, content: str, more: dict[str, Any], told: str
) -> None:
    (source / name).write_text(content)
    with pytest.raises(DataError, match=told) as raised:
        rows(source.parent, PAIR, **more)
    assert "\n" not in str(raised.value)


def test_the_stage_writes_a_file_for_each_set(source: Path, tmp_path: Path) -> None:
    (source / "pairs.csv").write_text("question,answer\na,b\n")
    counts = make_sets({"mine": TupleSet(source="mine", columns=PAIR)}, tmp_path, tmp_path / "out")
    assert counts == {"mine": 1}
    assert pq.read_table(tmp_path / "out/mine.parquet")["provenance"].to_pylist() == [
        '{"source": "mine", "file": "pairs.csv"}'
    ]
