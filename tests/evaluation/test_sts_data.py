"""Every layout that a source may have, written small."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.config.evaluation import Evaluation
from components.errors import DataError
from components.evaluation.sts_data import load_sts, read_sts, write_sts

STSB = 'main\tMSRvid\t2012\t0001\t{}\tA "man" sings.\tHe says "so.\n'
RECORD = {"sentence1": "one", "sentence2": "two", "score": 2.5}


@pytest.fixture
def stsb(tmp_path: Path) -> Path:
    folder = tmp_path / "stsb"
    folder.mkdir()
    (folder / "sts-test.csv").write_text(STSB.format("5.000") + STSB.format("0.200").rstrip() + "\tmore\tcolumns\n")
    (folder / "sts-dev.csv").write_text(STSB.format("3.000"))
    return folder


def write(folder: Path, out: str = "out", **sts: str) -> dict[str, int]:
    return write_sts(Evaluation.model_validate({"sts": {"STSB": "stsb"} | sts}), folder, folder / out)


@pytest.fixture
def senteval(tmp_path: Path) -> Path:
    """STS15 of two subsets and an ALL file, one pair without a gold score; SICK with carriage returns."""
    sts = tmp_path / "senteval" / "STS" / "STS15-en-test"
    sts.mkdir(parents=True)
    for subset, golds in {"belief": "1.5\n\n4\n", "images": "2\n", "ALL": "9\n"}.items():
        (sts / f"STS.gs.{subset}.txt").write_text(golds)
        lines = "".join(f"{subset} {k}\u2028\tother {k}\tsource\n" for k in range(golds.count("\n")))
        (sts / f"STS.input.{subset}.txt").write_text(lines, encoding="utf-8")
    sick = tmp_path / "senteval" / "SICK"
    sick.mkdir()
    header = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\r\n"
    (sick / "SICK_test_annotated.txt").write_text(header + "6\tNo boy\tA boy\t3.3\tNEUTRAL\r\n", newline="")
    return tmp_path / "senteval"


def test_quotation_marks_of_stsb_are_text(stsb: Path) -> None:
    pairs = read_sts("STSB", stsb)
    assert (pairs.first[0], pairs.second, pairs.score.tolist()) == ('A "man" sings.', ['He says "so.'] * 2, [5.0, 0.2])


def test_the_dev_split_is_written_beside_the_tasks(stsb: Path, tmp_path: Path) -> None:
    assert write(tmp_path) == {"STSB": 2, "STSB-dev": 1}
    assert load_sts("STSB-dev", tmp_path / "out").score.tolist() == [3.0]


def test_the_train_split_lies_apart_from_the_tasks(stsb: Path, tmp_path: Path) -> None:
    (stsb / "sts-train.csv").write_text(STSB.format("4.500"))
    write(tmp_path)
    assert {path.stem for path in (tmp_path / "out").glob("*.parquet")} == {"STSB", "STSB-dev"}
    assert load_sts("STSB", tmp_path / "out" / "train").score.tolist() == [4.5]


def test_pairs_without_gold_and_the_all_file_are_left_out(senteval: Path) -> None:
    pairs = read_sts("STS15", senteval)
    assert (pairs.second, pairs.score.tolist()) == (["other 0", "other 2", "other 0"], [1.5, 4.0, 2.0])


def test_subsets_are_kept_by_name(senteval: Path, stsb: Path, tmp_path: Path) -> None:
    write(tmp_path, STS15="senteval")
    table = pq.read_table(tmp_path / "out" / "STS15.parquet")
    assert table["subset"].to_pylist() == ["belief", "belief", "images"]


def test_sick_ends_its_lines_with_carriage_returns(senteval: Path) -> None:
    pairs = read_sts("SICKR", senteval)
    assert (pairs.first, pairs.second, pairs.score.tolist()) == (["No boy"], ["A boy"], [3.3])


@pytest.mark.parametrize(("task", "inner"), [("STS15", "STS/STS15-en-test"), ("SICKR", "SICK")])
def test_a_source_may_point_at_the_inner_folder(senteval: Path, task: str, inner: str) -> None:
    assert read_sts(task, senteval / inner).first == read_sts(task, senteval).first


def test_stsb_is_found_inside_senteval(stsb: Path, senteval: Path) -> None:
    stsb.rename(senteval / "STS" / "STSBenchmark")
    assert len(read_sts("STSB", senteval)) == 2


@pytest.mark.parametrize("name", ["test.jsonl", "test.jsonl.gz", "data/test-00000-of-00001.parquet"])
def test_hub_snapshots_are_read_by_split(tmp_path: Path, name: str) -> None:
    for split, score in {"train": 0.0, "test": 2.5}.items():
        path = tmp_path / name.replace("test", split)
        path.parent.mkdir(exist_ok=True)
        record = RECORD | {"score": score}
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist([record]), path)
        else:
            text = (json.dumps(record) + "\n").encode()
            path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    assert read_sts("STS13", tmp_path).score.tolist() == [2.5]


def test_the_same_source_gives_the_same_bytes(stsb: Path, tmp_path: Path) -> None:
    for out in ("a", "b"):
        write(tmp_path, out)
    assert (tmp_path / "a" / "STSB.parquet").read_bytes() == (tmp_path / "b" / "STSB.parquet").read_bytes()


def test_a_score_that_is_no_number_is_named_by_file_and_line(stsb: Path) -> None:
    with (stsb / "sts-test.csv").open("a") as lines:
        lines.write(STSB.format("high"))
    with pytest.raises(DataError, match=r"sts-test\.csv, line 3: the score 'high' is no number"):
        read_sts("STSB", stsb)


def test_a_missing_column_is_named_by_file_and_line(stsb: Path) -> None:
    with (stsb / "sts-test.csv").open("a") as lines:
        lines.write("main\tMSRvid\t2012\n")
    with pytest.raises(DataError, match=r"sts-test\.csv, line 3: 3 columns"):
        read_sts("STSB", stsb)


def test_gold_scores_of_another_number_are_an_error(senteval: Path) -> None:
    (senteval / "STS" / "STS15-en-test" / "STS.gs.belief.txt").write_text("1.5\n")
    with pytest.raises(DataError, match=r"3 lines and STS\.gs\.belief\.txt 1"):
        read_sts("STS15", senteval)


def test_a_truncated_archive_is_an_error(tmp_path: Path) -> None:
    whole = gzip.compress((json.dumps(RECORD) + "\n").encode() * 50)
    (tmp_path / "test.jsonl.gz").write_bytes(whole[:-12])
    with pytest.raises(DataError, match="broken or truncated"):
        read_sts("STS13", tmp_path)


def test_an_empty_set_is_an_error(stsb: Path) -> None:
    (stsb / "sts-test.csv").write_text("")
    with pytest.raises(DataError, match="no scored pair"):
        read_sts("STSB", stsb)


def test_an_unknown_layout_is_named_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"no layout known for STS12 .* it holds notes\.txt"):
        read_sts("STS12", tmp_path)


def test_a_broken_source_leaves_the_last_good_data(stsb: Path, tmp_path: Path) -> None:
    write(tmp_path)
    (stsb / "sts-test.csv").write_text("")
    with pytest.raises(DataError):
        write(tmp_path)
    assert len(load_sts("STSB", tmp_path / "out")) == 2


def test_a_task_that_was_not_made_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape("run `dvc repro`")):
        load_sts("STS16", tmp_path)


def records(folder: Path, *rows: dict) -> Path:
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_null_sentence_is_named_by_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test\.jsonl, line 2: sentence1, sentence2 or score is empty"):
        read_sts("STSB", records(tmp_path, RECORD, RECORD | {"sentence1": None}))


def test_scores_of_another_scale_are_refused(tmp_path: Path) -> None:
    rows = [RECORD | {"score": score} for score in (0.0, 0.5, 1.0)]
    with pytest.raises(DataError, match=r"all 3 scores are within 0 and 1, and STSB is scored from 0 to 5; rescale"):
        read_sts("STSB", records(tmp_path, *rows))


@pytest.mark.parametrize(("task", "score"), [("STSB", -1.0), ("STSB", 5.2), ("STS13", 80.0)])
def test_a_score_off_the_scale_is_named(tmp_path: Path, task: str, score: float) -> None:
    with pytest.raises(DataError, match=rf"scored pair 2: the score {score:g} is not on the scale of {task}, 0 to 5"):
        read_sts(task, records(tmp_path, RECORD, RECORD | {"score": score}))


def test_one_set_of_several_on_another_scale_is_refused(senteval: Path) -> None:
    (senteval / "STS/STS15-en-test/STS.gs.images.txt").write_text("0.4\n")
    with pytest.raises(DataError, match=r"STS\.input\.images\.txt: all 1 scores are within 0 and 1"):
        read_sts("STS15", senteval)


def test_missing_fields_are_named_beside_those_that_are_there(tmp_path: Path) -> None:
    row = {"sentence1": "one", "sentence2": "two", "similarity_score": 1.0}
    with pytest.raises(DataError, match=r"no column 'score', only sentence1, sentence2, similarity_score"):
        read_sts("STSB", records(tmp_path, row))


def test_surrogates_are_repaired_and_white_space_is_single(tmp_path: Path) -> None:
    pairs = read_sts("STSB", records(tmp_path, RECORD | {"sentence1": "a\ud83d\ude00 \u00a0b\ud83d", "score": 4}))
    assert pairs.first == ["a😀 b"]


def test_a_corrupt_deflate_stream_is_an_error(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"".join(json.dumps(RECORD | {"n": n}).encode() + b"\n" for n in range(500))))
    packed[200:220] = bytes(20)
    (tmp_path / "test.jsonl.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"broken or truncated|not JSON"):
        read_sts("STS13", tmp_path)


def test_a_parquet_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(DataError, match=r"test\.parquet is broken or truncated"):
        read_sts("STS13", tmp_path)


def test_a_line_in_another_encoding_is_named(stsb: Path) -> None:
    with (stsb / "sts-test.csv").open("ab") as lines:
        lines.write("main\tx\t2012\t1\t3\tcafé\tbar\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"sts-test\.csv, line 3: not UTF-8 .*iconv"):
        read_sts("STSB", stsb)


def test_byte_order_mark_and_blank_lines_are_no_text(stsb: Path) -> None:
    path = stsb / "sts-test.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\n\n")
    assert len(read_sts("STSB", stsb)) == 2


def test_the_stage_fails_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "components.evaluation"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n"), done.stderr[:7]) == (1, 1, "error: ")
