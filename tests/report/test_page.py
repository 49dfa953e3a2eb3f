"""The report's folder: complete, self-contained, whole or not at all."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import experiment

from components.errors import CseflowError
from components.report import page
from components.report.page import write_report

RESULTS = experiment(["untrained", "simcse"], seeds=[0], tasks=["STSB"], pairs=40)
VERDICT = "## Gate passed: <script>a</script>\n\n| ✓ | gain |\n| --- | --- |\n| a | b |\n"
PROVENANCE = {"commit": "0123abcd", "command": "<script>b</script>"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_report(
        RESULTS, "untrained", VERDICT, tmp_path_factory.mktemp("whole") / "report", PROVENANCE, resamples=50
    )


@pytest.fixture(scope="module")
def html(paths: list[Path]) -> str:
    return paths[0].read_text()


@pytest.fixture
def one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PICTURES", page.PICTURES[:1])


def write(into: Path, verdict: str | None = None) -> list[Path]:
    return write_report(RESULTS, "untrained", verdict, into, {}, resamples=50)


def test_it_writes_what_it_returns(paths: list[Path]) -> None:
    found = {path for path in paths[0].parent.rglob("*") if path.is_file()}
    assert set(paths) == found and {path.suffix for path in found} == {".html", ".txt", ".md", ".json", ".csv", ".png"}


def test_a_picture_without_measures_is_left_out(paths: list[Path]) -> None:
    assert "transfer_bars.png" not in {path.name for path in paths}


def test_the_page_asks_for_no_other_file(html: str) -> None:
    wanted = re.findall(r"""(?:src|href)=["']([^"']*)|url\(|@import""", html)
    assert wanted and all(link.startswith(("#", "data:image/png;base64,")) for link in wanted)


def test_the_page_shows_the_verdict_as_a_table(html: str) -> None:
    assert "<th>gain</th>" in html


def test_the_page_shows_how_it_was_made(html: str) -> None:
    assert "0123abcd" in html


def test_markup_from_outside_is_shown_and_not_run(html: str) -> None:
    assert (html.count("&lt;script&gt;"), html.count("<script")) == (2, 0)


@pytest.mark.usefixtures("one_picture")
def test_markup_in_a_variant_s_name_is_shown_and_not_run(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    named = [replace(run, variant=name) if run.variant == "simcse" else run for run in RESULTS]
    html = write_report(named, "untrained", None, tmp_path / "report", {}, resamples=50)[0].read_text()
    assert "<script" not in html and "&lt;script&gt;alert" in html


@pytest.mark.usefixtures("one_picture")
def test_each_seed_links_to_its_run_in_mlflow(tmp_path: Path) -> None:
    links = {"simcse-0": "http://127.0.0.1:5000/#/runs/1", "untrained-0": "javascript:alert(1)"}
    html = write_report(RESULTS, "untrained", None, tmp_path / "report", {}, links=links, resamples=50)[0].read_text()
    assert 'href="http://127.0.0.1:5000/#/runs/1"' in html and "javascript:" not in html


@pytest.mark.usefixtures("one_picture")
def test_without_a_verdict_there_is_no_gate_on_the_page(tmp_path: Path) -> None:
    assert 'id="gate"' not in write(tmp_path / "report")[0].read_text()


@pytest.mark.usefixtures("one_picture")
def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.usefixtures("one_picture")
def test_a_failure_leaves_the_last_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in write(tmp_path / "report", VERDICT)}

    def fail(*_: object) -> bytes:
        raise OSError("disk full")

    monkeypatch.setattr(page.Path, "write_bytes", fail)
    with pytest.raises(OSError):
        write(tmp_path / "report")
    assert {path: path.read_bytes() for path in (tmp_path / "report").rglob("*.*")} == before


def test_no_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CseflowError, match="nothing to report"):
        write_report([], "untrained", None, tmp_path / "report", {})
