"""Answers on disk: whole, once, and one writer at a time."""

from pathlib import Path

import pytest

from components.errors import DataError
from components.synthesis.backends import Answer
from components.synthesis.ledger import Ledger, Share, Spent

ANSWERS = [Answer("a", "one\u2028 “line”", 7, 3), Answer("b", "", 8, 0)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "answers" / "nli.jsonl"
    with Ledger(path.parent, "nli") as ledger:
        for answer in ANSWERS:
            ledger.add(answer, model="m")
    return path


def test_answers_are_found_again_with_what_they_cost(path: Path) -> None:
    with Ledger(path.parent, "nli") as ledger:
        assert [ledger.find(key) for key in ("a", "b", "c")] == [*ANSWERS, None]
        assert ledger.spent == Spent(2, 15, 3)


def test_an_answer_is_on_disk_as_soon_as_it_is_added(path: Path) -> None:
    with Ledger(path.parent, "nli") as ledger:
        ledger.add(Answer("c", "new", 1, 1))
        assert '"new"' in path.read_text()
        assert ledger.find("c") == Answer("c", "new", 1, 1)


@pytest.mark.parametrize(
    "torn", ['{"key": "c", "te', '{"key": "c", "text": "x", "prompt_tokens": 1, "completion_tokens": 1}']
)
def test_a_torn_last_line_is_cut_off(path: Path, torn: str) -> None:
    before = path.read_bytes()
    path.write_bytes(before + torn.encode())
    with Ledger(path.parent, "nli") as ledger:
        assert ledger.find("c") is None
    assert path.read_bytes() == before


def test_a_lone_surrogate_that_lies_there_is_repaired_when_it_is_read(path: Path) -> None:
    line = '{"key": "c", "text": "half \\ud83d", "prompt_tokens": 1, "completion_tokens": 1, "finish": "length"}'
    path.write_text(path.read_text() + line + "\n")
    with Ledger(path.parent, "nli") as ledger:
        assert ledger.find("c") == Answer("c", "half ", 1, 1, "length")


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"key": "c"}'])
def test_a_damaged_line_is_named_and_nothing_is_lost(path: Path, line: str) -> None:
    path.write_text(f"{line}\n{path.read_text()}")
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"nli\.jsonl, line 1: no answer"):
        Ledger(path.parent, "nli")
    assert path.read_bytes() == before


def test_a_second_writer_is_kept_off(path: Path) -> None:
    with Ledger(path.parent, "nli"), pytest.raises(DataError, match="in use by another process"):
        Ledger(path.parent, "nli")


def test_shares_write_side_by_side_and_each_knows_what_was_answered_before(path: Path) -> None:
    with Ledger(path.parent, "nli", Share(1, 2)) as first, Ledger(path.parent, "nli", Share(2, 2)) as second:
        first.add(Answer("c", "first", 1, 1))
        second.add(Answer("d", "second", 1, 1))
        assert [first.find(key) is not None for key in "abcd"] == [True, True, True, False]
    with Ledger(path.parent, "nli") as whole:
        assert [whole.find(key) is not None for key in "abcd"] == [True] * 4
        assert whole.spent.requests == 4
    assert path.read_text().count("\n") == len(ANSWERS)


@pytest.mark.parametrize("other", [Share(), Share(1, 3)])
def test_shares_of_another_division_wait(path: Path, other: Share) -> None:
    with (
        Ledger(path.parent, "nli", Share(1, 2)),
        pytest.raises(DataError, match=r"nli.* in use by another process"),
    ):
        Ledger(path.parent, "nli", other)
