"""STS tasks of one's own: from a table of their source to data/sts, the dev task among them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from components.config.evaluation import Evaluation, metric_names
from components.errors import DataError
from components.evaluation.sts_data import load_sts, read_own, write_sts

COLUMNS = {"first": "a", "second": "b", "score": "s"}


def own(*, source: str = "mine", columns: dict[str, Any] = COLUMNS, **more: Any) -> dict[str, Any]:
    return {"source": source, "columns": columns, **more}


def evaluation(**section: Any) -> Evaluation:
    return Evaluation.model_validate(section)


def read(folder: Path, **more: Any) -> list[tuple[str, str, float]]:
    task = evaluation(tasks={"mine": own(**more), "dev": own(source="dev")}, dev="dev").tasks["mine"]
    table = read_own("mine", task, folder)
    return list(zip(*(table[name].to_pylist() for name in ("first", "second", "score")), strict=True))


def test_scores_are_mapped_from_their_scale_onto_0_to_5(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,s\none,two,-1\none, two  three ,0.5\nx,y,1\n")
    assert read(tmp_path, scale=[-1, 1]) == [("one", "two", 0.0), ("one", "two three", 3.75), ("x", "y", 5.0)]


def test_scores_from_0_to_5_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("3.8\tone\ttwo\n0.1\tx\ty\n")
    assert [score for *_, score in read(tmp_path, columns={"first": 2, "second": 3, "score": 1})] == [3.8, 0.1]


def test_rows_are_chosen_by_where(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,s,year\none,two,1,2024\nx,y,2,2025\nu,v,3,2025\n")
    assert [first for first, *_ in read(tmp_path, where={"year": 2025})] == ["x", "u"]


def test_a_split_of_a_hub_dataset(tmp_path: Path) -> None:
    for split, score in {"train": 1.0, "test": 2.0}.items():
        table = pa.table({"a": ["one", "x"], "b": ["two", "y"], "s": [score, 0.0]})
        pq.write_table(table, tmp_path / f"{split}-00000-of-00001.parquet")
    assert read(tmp_path, split="test") == [("one", "two", 2.0), ("x", "y", 0.0)]


@pytest.mark.parametrize(
    ("content", "more", "told"),
    [
        ("a,b\none,two\n", {}, r"t.csv, line 1: no column 's', only a, b; see evaluation.tasks.mine in params.yaml"),
        ("a\none\n", {}, r"t.csv, line 1: no column 'b', only a; see evaluation.tasks.mine"),
        ("a,b,s\none,two,1\nx,y,high\n", {}, r't.csv, line 3: s is "high", not a number'),
        ("a,b,s\none,two,\n", {}, r"t.csv, line 2: s is empty, not a score; remove the row"),
        ("a,b,s\n,two,1\n", {}, r"t.csv, line 2: a is empty; remove the row"),
        ("a,b,s\none,two,1\nx,y,80\n", {}, r"line 3: the score 80 is not from 0 to 5; set evaluation.tasks.mine.scale"),
        ("a,b,s\none,two,1\nx,y,1\n", {}, r"t.csv: all 2 scores are equal, so there is no order to agree with"),
        ("a,b,s\n", {}, r"t.csv: no rows; see evaluation.tasks.mine in params.yaml"),
        (
            "a,b,s,c\none,two,1,x\n",
            {"where": {"c": "z"}},
            r"none of its 1 rows has the values of evaluation.tasks.mine",
        ),
        ("a,b,s,s\none,two,1,1\n", {}, r"t.csv, line 1: 's' names more than one column"),
        ("a,b,s\nä,two,1\n", {}, r"t.csv, line 2: not UTF-8 .*iconv -f latin1 -t utf-8"),
    ],
)
def test_a_bad_file_is_one_sentence_with_file_and_line(
    tmp_path: Path, content: str, more: dict[str, Any], told: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=told) as raised:
        read(tmp_path, **more)
    assert "\n" not in str(raised.value)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, pairs in {"dev": "one,two,1\nx,y,2\n", "mine": "u,v,3\nk,l,1\none,two,1\nx,y,2\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.csv").write_text(f"a,b,s\n{pairs}")
    return tmp_path


def test_the_stage_writes_own_tasks_and_no_stsb(sources: Path) -> None:
    (sources / "mine/t.csv").write_text("a,b,s\nu,v,3\nk,l,1\n")
    made = evaluation(tasks={"mine": own(), "ours-dev": own(source="dev")}, dev="ours-dev")
    assert write_sts(made, sources, sources / "sts") == {"mine": 2, "ours-dev": 2}
    assert load_sts("ours-dev", sources / "sts").score.tolist() == [1.0, 2.0]


def test_a_dev_task_whose_pairs_are_judged_is_refused(sources: Path) -> None:
    with pytest.raises(DataError, match=r"evaluation.dev: each of the 2 pairs of ours-dev is also one of mine"):
        write_sts(evaluation(tasks={"mine": own(), "ours-dev": own(source="dev")}, dev="ours-dev"), sources, sources)


TWO = {"mine": own(), "ours": own(source="ours")}


def test_the_dev_task_judges_nothing() -> None:
    section = evaluation(sts={"STSB": "stsb"}, tasks=TWO, dev="ours")
    assert (section.judged, section.sts_sources) == (["STSB", "mine"], ["mine", "ours", "stsb"])
    names = metric_names(section, [], [])
    assert {"sts/ours", "geometry/ours/alignment", "length_bias/mine/gap"} <= set(names)
    assert not {"sts/STSB-dev", "length_bias/ours/gap"} & set(names)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"sts": {"STSB": "stsb"}, "dev": "STSB"}, "dev: STSB is judged on; dev picks and test judges"),
        ({"sts": {"SICKR": "sick"}}, "dev: STSB-dev picks checkpoints, so sts must name a source for STSB"),
        ({"tasks": TWO, "dev": "other"}, r"dev: 'other' is neither STSB-dev nor one of tasks \(mine, ours\)"),
        ({"tasks": {"mine": own(), "same": own()}, "dev": "same"}, "same and the judged task mine are the same data"),
        ({"tasks": {"mine": own()}, "dev": "mine"}, "there is no task to judge by"),
        ({"tasks": TWO | {"stsb": own()}, "dev": "ours"}, "tasks.stsb: the name is taken"),
        ({"tasks": TWO | {"avg": own()}, "dev": "ours"}, "tasks.avg: the name is taken"),
        ({"tasks": TWO | {"Mine": own()}, "dev": "ours"}, "'mine' and 'Mine' differ in case alone"),
        ({"tasks": TWO | {"a/b": own()}, "dev": "ours"}, "'a/b' is no name"),
        ({"tasks": {"mine": own(columns={"first": "a", "second": "b"})}}, "columns: name the column of the score"),
        ({"tasks": {"mine": own(columns=COLUMNS | {"second": "a"})}}, "first, second and score are three columns"),
        ({"tasks": {"mine": own(scale=[5, 0])}}, "scale: the lowest score comes first"),
        ({"tasks": {"mine": own(file="a.csv", split="test")}}, "file and config or split choose the same thing"),
        ({"tasks": {"mine": own(header=False)}}, "a file without a header has no names"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused(section: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        evaluation(**section)
