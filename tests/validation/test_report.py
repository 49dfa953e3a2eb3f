"""Training's question: has the data on disk, in this version, passed?"""

import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import DataError
from components.files import file_digest
from components.validation import passed, require_passed
from components.validation.report import Outcome, Report, write_report

DATA = Path("data/corpus/train.parquet")
PAGE = "<!doctype html>"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DATA.parent.mkdir(parents=True)
    DATA.write_bytes(b"first version")


def report(verdict: bool = True) -> Report:
    outcome = Outcome(
        suite="train", expectation="no text is null", type="", kwargs={}, passed=verdict, observed={}, sample=[]
    )
    return Report(
        kind="corpus",
        passed=verdict,
        data={DATA.as_posix(): file_digest(DATA, "md5")},
        baseline=None,
        expectations=[outcome],
        profiles={},
    )


def test_data_that_passed_may_be_used() -> None:
    write_report(report(), PAGE)
    assert require_passed("corpus", [DATA.resolve()]) == {DATA.as_posix(): file_digest(DATA, "md5")}


def test_no_report_is_no_pass() -> None:
    with pytest.raises(DataError, match=r"no validation report \(data/validation/corpus.json is missing\)"):
        require_passed("corpus")


def test_a_failed_report_is_told_with_its_reason() -> None:
    write_report(report(verdict=False), PAGE)
    with pytest.raises(DataError, match="failed validation: train: no text is null"):
        require_passed("corpus")


def test_a_report_on_another_version_is_no_pass() -> None:
    write_report(report(), PAGE)
    DATA.write_bytes(b"second version")
    with pytest.raises(DataError, match=r"belongs to another version of data/corpus/train.parquet"):
        require_passed("corpus")


def test_a_report_outlives_no_missing_file() -> None:
    write_report(report(), PAGE)
    DATA.unlink()
    with pytest.raises(DataError, match=r"train.parquet is missing"):
        require_passed("corpus")


def test_a_file_that_was_not_judged_is_refused() -> None:
    write_report(report(), PAGE)
    with pytest.raises(DataError, match=r"says nothing of data/corpus/other.parquet"):
        require_passed("corpus", ["data/corpus/other.parquet"])


def test_a_passing_name_does_not_make_a_failed_report_pass() -> None:
    write_report(report(verdict=False), PAGE).rename("data/validation/corpus.json")
    with pytest.raises(DataError, match="failed validation"):
        require_passed("corpus")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"passed": true}'])
def test_a_broken_report_is_no_pass(content: str) -> None:
    write_report(report(), PAGE).write_text(content)
    with pytest.raises(DataError, match="is no validation report"):
        require_passed("corpus")


@pytest.mark.parametrize("verdict", [True, False])
def test_a_new_verdict_takes_the_place_of_the_other(verdict: bool) -> None:
    write_report(report(verdict=not verdict), PAGE)
    written = write_report(report(verdict=verdict), PAGE)
    assert set(Path("data/validation").iterdir()) == {written, written.with_suffix(".html")}


def test_verdicts_of_several_kinds() -> None:
    write_report(report(), PAGE)
    assert passed(["corpus", "sts"]) == {"corpus": True, "sts": False}


def test_asking_does_not_import_great_expectations() -> None:
    code = "import sys, components.validation; sys.exit('great_expectations' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
