"""Pairs and tuples of others, in the layouts that they have."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from components.config.sets import TupleSet
from components.errors import DataError
from components.synthesis.sets import Made, make_sets, read_set

PAIR: dict[str, Any] = {"anchor": "question", "positive": "answer"}
LEVELS: dict[str, Any] = {"anchor": "sentence", "positive": "5", "intermediate": "4", "negative": "3"}


def of(columns: dict[str, Any], **more: Any) -> TupleSet:
    return TupleSet.model_validate({"source": "mine", "columns": columns, **more})


def made(folder: Path, columns: dict[str, Any], evaluation: frozenset[str] = frozenset(), **more: Any) -> Made:
    return read_set("mine", of(columns, **more), folder, evaluation)


def rows(folder: Path, columns: dict[str, Any], **more: Any) -> list[tuple[str | None, ...]]:
    tuples = of(columns, **more)
    table = made(folder, columns, **more).table
    return list(zip(*(table[role].to_pylist() for role in tuples.roles), strict=True))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def parquet(path: Path, *records: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(records)), path)


NGCSE = [
    {"sentence": "A plain one.", "5": "", "4": "", "3": "", "split": "wiki"},
    {"sentence": "A cat sat.", "5": "One cat sat.", "4": "It sat.", "3": "A dog ran.", "split": "aigen"},
]
SIMCSE = 'sent0,sent1,hard_neg\n"One, two.",Two.,None.\n'


@pytest.mark.parametrize(
    ("file", "content", "entry", "found"),
    [
        pytest.param(
            "wiki1m_for_simcse.txt",
            "A man sat.\nA dog, too, ran.\n",
            {"columns": {"anchor": 1}},
            [("A man sat.",), ("A dog, too, ran.",)],
            id="SimCSE, unsupervised",
        ),
        pytest.param(
            "nli_for_simcse.csv",
            SIMCSE,
            {"columns": {"anchor": "sent0", "positive": "sent1", "negative": "hard_neg"}},
            [("One, two.", "Two.", "None.")],
            id="SimCSE, supervised",
        ),
        pytest.param(
            "pairs.csv",
            "sent0,sent1\nOne.,Two.\n",
            {"columns": {"anchor": "sent0", "positive": "sent1"}},
            [("One.", "Two.")],
            id="SimCSE, pairs",
        ),
        pytest.param(
            "wiki_sts.jsonl",
            "".join(json.dumps(line) + "\n" for line in NGCSE),
            {"columns": LEVELS, "where": {"split": "aigen"}},
            [("A cat sat.", "One cat sat.", "It sat.", "A dog ran.")],
            id="NGCSE",
        ),
        pytest.param(
            "train.csv",
            SIMCSE,
            {"columns": {"anchor": "sent0", "positive": "sent1", "negative": "hard_neg"}},
            [("One, two.", "Two.", "None.")],
            id="SynCSE",
        ),
        pytest.param(
            "train.jsonl",
            json.dumps({"query": "q", "pos": ["p"], "neg": ["n", "m", "o"]}),
            {"columns": {"anchor": "query", "positive": "pos.1", "negatives": ["neg.1", "neg.2"]}},
            [("q", "p", "n", "m")],
            id="lists of negatives",
        ),
        pytest.param(
            "levels.tsv",
            "a\tb\tc\td\n",
            {"columns": {"anchor": 1, "levels": [2, 3, 4]}},
            [("a", "b", "c", "d")],
            id="levels",
        ),
    ],
)
def test_a_released_format_is_one_entry(
    source: Path, file: str, content: str, entry: dict[str, Any], found: list[tuple[str, ...]]
) -> None:
    (source / file).write_text(content)
    assert rows(source.parent, **entry) == found


PAIR_SCORES = ({"sentence1": "a", "sentence2": "b", "score": 1.0}, {"sentence1": "c", "sentence2": "d", "score": 0.5})


@pytest.mark.parametrize(
    ("config", "records", "entry", "found"),
    [
        ("pair", [{"anchor": "a", "positive": "b"}], {"columns": {"anchor": 1, "positive": 2}}, [("a", "b")]),
        (
            "triplet",
            [{"anchor": "a", "positive": "b", "negative": "c"}],
            {"columns": {"anchor": "anchor", "positive": "positive", "negative": "negative"}},
            [("a", "b", "c")],
        ),
        (
            "pair-score",
            PAIR_SCORES,
            {
                "columns": {"anchor": "sentence1", "positive": "sentence2"},
                "score": {"column": "score", "minimum": 1},
            },
            [("a", "b")],
        ),
        (
            "pair-class",
            [{"premise": "a", "hypothesis": "b", "label": 0}, {"premise": "a", "hypothesis": "c", "label": 2}],
            {"columns": {"anchor": "premise", "positive": "hypothesis"}, "where": {"label": 0}},
            [("a", "b")],
        ),
    ],
)
def test_a_config_of_all_nli_is_one_entry(
    source: Path, config: str, records: Any, entry: dict[str, Any], found: list[tuple[str, ...]]
) -> None:
    for name in ("pair", "triplet", "pair-score", "pair-class"):
        parquet(source / name / "dev-00000-of-00001.parquet", {"anchor": "of dev"})
        parquet(source / name / "train-00000-of-00001.parquet", *records)
    assert rows(source.parent, config=config, split="train", **entry) == found


def test_values_of_where_are_those_of_a_csv_file_too(source: Path) -> None:
    (source / "pairs.csv").write_text("question,answer,label\na,b,0\nc,d,1\n")
    assert rows(source.parent, PAIR, where={"label": 0}) == [("a", "b")]


@pytest.mark.parametrize(
    ("content", "more", "found"),
    [
        ("a,b\nA ,c\n", {}, [("A", "c")]),
        ("a,b\nA ,c\n", {"unique": False}, [("a", "b"), ("A", "c")]),
        ("a,b\nc,C\n", {}, [("a", "b")]),
        ("a,b\nc,\n", {"unique": False}, [("a", "b")]),
        ("a,b\na dog runs,c\n", {}, [("a", "b")]),
        ("a,b\na dog runs,c\n", {"leaks": "keep"}, [("a", "b"), ("a dog runs", "c")]),
    ],
)
def test_repeated_anchors_copies_gaps_and_leaks_are_left_out(
    source: Path, content: str, more: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    (source / "pairs.csv").write_text(f"question,answer\n{content}")
    table = made(source.parent, PAIR, frozenset({"a dog runs"}), **more).table
    assert list(zip(table["anchor"].to_pylist(), table["positive"].to_pylist(), strict=True)) == found


def test_what_was_left_out_is_counted(source: Path) -> None:
    (source / "pairs.csv").write_text("question,answer\na,b\na,c\nd,\n")
    told = str(made(source.parent, PAIR))
    assert told == "1 rows (left out: 1 with an anchor that a later row has, 1 without a text for each role)"


@pytest.mark.parametrize(
    ("name", "content", "more", "told"),
    [
        ("pairs.csv", "q,answer\na,b\n", {}, r"pairs.csv, line 1: no column 'question', only q, answer; see sets.mine"),
        ("pairs.jsonl", '{"question": "a", "answer": 3}\n', {}, r"line 1: answer is 3, not a text"),
        ("pairs.csv", "question,answer\na,\n", {}, r"nothing is left for a set, 0 rows \(left out: 1 without a text"),
        ("pairs.csv", "question,answer\n", {}, r"pairs.csv: no rows; see sets.mine"),
        ("pairs.csv", "question,answer\na,b\n", {"where": {"answer": "c"}}, r"none of its 1 rows has the values of"),
        (
            "pairs.csv",
            "question,answer,s\na,b,high\n",
            {"score": {"column": "s", "minimum": 0.5}},
            r'pairs.csv, line 2: s is "high", not a number',
        ),
        ("pairs.doc", "a", {}, r"holds pairs.doc; name the .* file to read as sets.mine.file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    source: Path, name: str, content: str, more: dict[str, Any], told: str
) -> None:
    (source / name).write_text(content)
    with pytest.raises(DataError, match=told) as raised:
        rows(source.parent, PAIR, **more)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"columns": {"anchor": "a", "negative": "b", "negatives": ["c"]}}, "two ways to say one thing"),
        ({"columns": {"anchor": "a", "levels": ["b"]}}, "at least two columns"),
        ({"columns": {"anchor": "a"}, "header": False}, "number its columns from 1"),
        ({"columns": {"anchor": 1}, "where": {"b": 1}}, "no names to choose rows by"),
        ({"columns": {"anchor": "a"}, "file": "b.csv", "split": "train"}, "leave one of them out"),
        ({"columns": {"anchor": "a"}, "mine": {"encoder": "e"}}, "pairs of anchor and positive"),
        ({"columns": PAIR, "mine": {"encoder": "e", "ranks": [2, 3], "count": 2}}, "no 2 candidates"),
    ],
)
def test_entries_that_contradict_themselves_are_refused(entry: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        of(**entry)


def test_the_stage_writes_a_file_for_each_set(source: Path, tmp_path: Path) -> None:
    (source / "pairs.csv").write_text("question,answer\na,b\n")
    counts = make_sets({"mine": of(PAIR)}, tmp_path, tmp_path / "out")
    assert {name: str(each) for name, each in counts.items()} == {"mine": "1 rows"}
    assert pq.read_table(tmp_path / "out/mine.parquet")["provenance"].to_pylist() == [
        '{"source": "mine", "file": "pairs.csv"}'
    ]
