from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.config.sources import Source
from components.errors import DataError
from components.synthesis.nli import make_nli, nli_triplets


def csv(folder: Path, text: str) -> Path:
    path = folder / "nli.csv"
    path.write_text(text)
    return path


def test_columns_take_their_roles(tmp_path: Path) -> None:
    table = nli_triplets(csv(tmp_path, 'sent0,sent1,hard_neg\n"A man, old, sits.",A man sits.,A man runs.\n'))
    row = table.to_pylist()[0]
    assert (row["anchor"], row["positive"], row["negative"]) == ("A man, old, sits.", "A man sits.", "A man runs.")


def test_each_premise_stands_once(tmp_path: Path) -> None:
    assert nli_triplets(csv(tmp_path, "sent0,sent1,hard_neg\na,b,c\na,d,e\nf,g,h\n")).num_rows == 2


def test_rows_with_a_gap_are_left_out(tmp_path: Path) -> None:
    assert nli_triplets(csv(tmp_path, "sent0,sent1,hard_neg\na,b,\nf,g,h\n")).num_rows == 1


def test_another_form_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a CSV file with the columns sent0, sent1, hard_neg"):
        nli_triplets(csv(tmp_path, "premise,hypothesis\na,b\n"))


def test_the_stage_writes_what_the_source_has(tmp_path: Path) -> None:
    (tmp_path / "nli").mkdir()
    csv(tmp_path / "nli", "sent0,sent1,hard_neg\na,b,c\n")
    make_nli({"nli": Source(uri="file://nli.csv")}, tmp_path, tmp_path / "out")
    row = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()[0]
    assert row == {
        "anchor": "a",
        "positive": "b",
        "intermediate": None,
        "negative": "c",
        "provenance": '{"file": "nli.csv"}',
    }


def test_without_a_source_the_folder_is_empty(tmp_path: Path) -> None:
    assert make_nli({}, tmp_path, tmp_path / "out") == 0
    assert list((tmp_path / "out").iterdir()) == []


HEADER = "sent0,sent1,hard_neg\n"


def test_a_file_without_a_header_has_the_columns_in_order(tmp_path: Path) -> None:
    table = nli_triplets(csv(tmp_path, "A man sat.,Somebody sat.,Nobody sat.\nA dog ran.,It ran.,It slept.\n"))
    assert table["negative"].to_pylist() == ["Nobody sat.", "It slept."]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + "a,b,c\nd,e,f,g\n", r"Row #3: Expected 3 columns, got 4"),
        (HEADER + "a,b,c\nd,e\n", r"Row #3: Expected 3 columns, got 2"),
        ("sent0,sent1\na,b\n", r"line 1: .*give each row a hard negative"),
        ("sent0\tsent1\thard_neg\n", r"line 1: .*with commas between them"),
        ("premise,entailment,contradiction\na,b,c\n", r"line 1: .*'premise, entailment, contradiction'"),
        (HEADER + "a,b,\n,d,e\n", r"none of its 2 rows has all three texts"),
        (HEADER + "x,y,z\n" * 3 + "caf\xe9,b,c\n", r"line 5: not UTF-8 .*iconv"),
        ("", r"line 1: "),
    ],
)
def test_a_fault_is_named_by_file_row_and_cure(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "nli.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=rf"nli\.csv.*{words}") as refused:
        nli_triplets(tmp_path / "nli.csv")
    assert "\n" not in str(refused.value)


def test_numbers_and_null_are_texts(tmp_path: Path) -> None:
    rows = nli_triplets(csv(tmp_path, HEADER + "1984,2,3\nNA,None,null\n")).to_pylist()
    assert [(row["anchor"], row["positive"], row["negative"]) for row in rows] == [
        ("1984", "2", "3"),
        ("NA", "None", "null"),
    ]


@pytest.mark.parametrize("names", [None, [], ["a.csv", "b.csv"]])
def test_a_source_without_one_file_is_named(tmp_path: Path, names: list[str] | None) -> None:
    for name in names or []:
        (tmp_path / "nli").mkdir(exist_ok=True)
        (tmp_path / "nli" / name).touch()
    if names == []:
        (tmp_path / "nli").mkdir()
    with pytest.raises(DataError, match=r"nli holds (no file|a\.csv, b\.csv), and one CSV file is needed"):
        make_nli({"nli": Source(uri="file://nli.csv")}, tmp_path, tmp_path / "out")
