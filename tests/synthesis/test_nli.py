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
    with pytest.raises(DataError, match="no CSV file with the columns sent0, sent1, hard_neg"):
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
