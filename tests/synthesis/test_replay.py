import json
from pathlib import Path

import pytest

from components.config.synthesis import Replay
from components.errors import BackendError, DataError
from components.synthesis.backends import Answer, Request
from components.synthesis.backends.replay import ReplayBackend


def record(number: int, **changes: object) -> str:
    fields = {"key": f"k{number}", "text": f"text {number} ü", "model": "m", "prompt_tokens": 9, "completion_tokens": 4}
    return json.dumps(fields | changes, ensure_ascii=False) + "\n"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines), "utf-8")
    return path


def ask(path: Path, *keys: str) -> list[Answer]:
    requests = [Request(key, (("user", "question"),), 0) for key in keys]
    return list(ReplayBackend(Replay(path=str(path))).answers(requests))


def test_gives_the_recorded_answers_in_the_order_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "nli.jsonl", record(1), record(2), record(3, attempt=1))
    assert ask(path, "k3", "k1") == [Answer("k3", "text 3 ü", 9, 4), Answer("k1", "text 1 ü", 9, 4)]


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    write(tmp_path / "nli.jsonl", record(1))
    write(tmp_path / "sts.jsonl", record(2))
    assert [answer.text for answer in ask(tmp_path, "k1", "k2")] == ["text 1 ü", "text 2 ü"]


def test_the_model_is_the_recorded_one(tmp_path: Path) -> None:
    assert ReplayBackend(Replay(path=str(write(tmp_path / "nli.jsonl", record(1, model="smol"))))).model == "smol"


def test_of_a_key_recorded_twice_the_first_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "nli.jsonl", record(1), record(1, text="again"))
    assert ask(path, "k1")[0].text == "text 1 ü"


def test_a_last_line_that_broke_off_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "nli.jsonl", record(1), record(2)[:20])
    assert len(ask(path, "k1")) == 1
    with pytest.raises(BackendError, match="no answer to request 'k2' among its 1 of m"):
        ask(path, "k2")


def test_answers_come_until_the_first_that_is_missing(tmp_path: Path) -> None:
    backend = ReplayBackend(Replay(path=str(write(tmp_path / "nli.jsonl", record(1)))))
    answers = backend.answers(Request(key, (("user", "question"),), 0) for key in ("k1", "k2"))
    assert next(answers).key == "k1"
    with pytest.raises(BackendError, match=r"nli\.jsonl has no answer to request 'k2'"):
        next(answers)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "holds no answers"),
        ([record(1), "{broken\n", record(2)], "line 2: not a recorded answer"),
        ([record(1, text=None)], "line 1: not a recorded answer"),
        ([record(1), record(2, model="n")], "several models, m, n"),
    ],
    ids=["empty", "broken", "no text", "two models"],
)
def test_a_record_that_is_none(lines: list[str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=complaint):
        ReplayBackend(Replay(path=str(write(tmp_path / "nli.jsonl", *lines))))


def test_a_missing_record(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl can't be read"):
        ReplayBackend(Replay(path=str(tmp_path / "none.jsonl")))
