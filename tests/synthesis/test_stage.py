"""The stage as DVC runs it, a process of its own that asks a server on loopback: kills, budgets, a second writer."""

import json
import shutil
import sys
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from components.errors import BackendError, CseflowError, DataError
from components.synthesis.__main__ import main
from tests import processes
from tests.project import REPOSITORY
from tests.synthesis.chat_server import Call, ChatServer, Reply, said
from tests.synthesis.toys import ROLE_OF, SENTENCES, good
from tests.tracking.server import until

pytestmark = pytest.mark.slow

WANTED = 60


def behave(call: Call) -> Reply:
    role = ROLE_OF[call.body["messages"][0]["content"]]
    return said(json.dumps({"sentence": good(call.asked, role)}), delay=0.005)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(behave) as server:
        yield server


def project(folder: Path, server: ChatServer, **settings: Any) -> Path:
    """What the stage reads: parameters, a corpus, an STS task."""
    yaml = YAML()
    params = yaml.load(REPOSITORY / "params.yaml")
    params["synthesis"] |= {
        "backend": "openai",
        "openai": {"base_url": server.url, "model": "fake", "concurrency": 4, "retries": 0},
        "tuples": {"nli": WANTED, "sts": WANTED},
        "anchors": {"min_words": 5, "max_words": 24},
        "price": {"prompt": 10.0, "completion": 10.0},
    } | settings
    for name in ("data/corpus", "data/sts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    yaml.dump(params, folder / "params.yaml")
    shutil.copytree(REPOSITORY / "profiles", folder / "profiles", dirs_exist_ok=True)
    pq.write_table(pa.Table.from_pylist([s._asdict() for s in SENTENCES]), folder / "data/corpus/train.parquet")
    pairs = {"first": [SENTENCES[0].text], "second": ["A man plays."], "score": [1.0]}
    pq.write_table(pa.table(pairs), folder / "data/sts/STSB.parquet")
    return folder


def start(folder: Path, *arguments: str) -> BaseProcess:
    return processes.start(folder, stage, *arguments)


def stage(*arguments: str) -> None:
    """The stage with these arguments, in a process of its own."""
    sys.argv = ["components.synthesis", "nli", *arguments]
    main()


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """The stage in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["components.synthesis", "nli", *arguments])
    main()


def ledger(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "answers/nli.jsonl").read_text().splitlines()]


def test_a_run_killed_twice_loses_and_doubles_nothing(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path / "killed", server)
    for count in (15, 30):
        process = start(folder)
        until(lambda count=count: len(server.calls) >= count)
        process.kill()
        process.join()
        kept, calls = ledger(folder), len(server.calls)
    assert 10 < len(kept) < 2 * WANTED
    run(folder, monkeypatch)
    # What was answered and kept is asked no more, and only what was under way at a kill, at most four, is asked again.
    asked = {(ROLE_OF[call.body["messages"][0]["content"]], call.asked) for call in server.calls[calls:]}
    assert not {(record["role"], record["anchor"]) for record in kept} & asked
    answers = ledger(folder)
    assert len(server.calls) - len(answers) <= 2 * 4
    assert len(answers) == len({record["key"] for record in answers})
    whole = project(tmp_path / "whole", server)
    run(whole, monkeypatch)
    for name in ("nli.parquet", "nli.json"):
        assert (folder / "data/tuples" / name).read_bytes() == (whole / "data/tuples" / name).read_bytes()


def test_a_second_run_asks_nothing_and_says_what_was_made(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path, server)
    run(folder, monkeypatch)
    calls = len(server.calls)
    capsys.readouterr()
    run(folder, monkeypatch)
    said = capsys.readouterr().out
    assert len(server.calls) == calls
    assert "data/tuples/nli.parquet: 60 tuples of 60 sentences; rejected: none" in said
    assert f"{calls} requests, {7 * calls} + {3 * calls} tokens, {calls / 1e4:.2f} in money" in said
    assert "next: dvc repro" in said


def test_shares_ask_side_by_side_and_nothing_twice(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path / "shares", server)
    shares = [start(folder, "--share", f"{number}/3") for number in (1, 2, 3)]
    for share in shares:
        share.join(300)
        assert share.exitcode == 0
    assert not (folder / "data/tuples").exists()
    run(folder, monkeypatch)
    assert len(server.calls) == len({call.content for call in server.calls})
    whole = project(tmp_path / "whole", server)
    run(whole, monkeypatch)
    name = "data/tuples/nli.parquet"
    assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_share_has_no_dry_run(tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        run(project(tmp_path, server), monkeypatch, "--share", "1/2", "--dry-run", "4")
    assert not server.calls


def test_shares_keep_to_the_budget_together(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path, server, budget={"requests": 60})
    for number in (1, 2, 3):
        with pytest.raises(CseflowError, match=r"budget of requests is spent; all answers are kept in .*-of-3"):
            run(folder, monkeypatch, "--share", f"{number}/3")
    assert 20 < len(server.calls) <= 60


def test_sentences_of_the_sts_tasks_are_not_asked_about(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project(tmp_path, server, tuples={"nli": 500, "sts": 500}), monkeypatch)
    assert {call.asked for call in server.calls} == {sentence.text for sentence in SENTENCES[1:]}


def test_a_spent_budget_says_what_was_made_and_what_to_raise(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"base_url": server.url, "model": "fake", "concurrency": 1, "retries": 0}  # so that none is half made
    folder = project(tmp_path, server, budget={"requests": 100}, openai=asked)
    message = "budget of requests is spent: 50 of 60 tuples are made, from 100 requests, .* synthesis.tuples.nli to 50"
    with pytest.raises(CseflowError, match=message):
        run(folder, monkeypatch)
    assert not (folder / "data/tuples").exists()
    run(project(tmp_path, server, budget={"requests": 100}, tuples={"nli": 50, "sts": 50}, openai=asked), monkeypatch)
    assert len(server.calls) == 100


def test_a_dry_run_estimates_the_whole_and_its_answers_count(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path, server)
    run(folder, monkeypatch, "--dry-run", "12")
    assert "60 tuples would take about 120 requests, 840 + 360 tokens, 0.01 in money" in capsys.readouterr().out
    assert not (folder / "data/tuples").exists()
    run(folder, monkeypatch)
    assert len(server.calls) == len(ledger(folder)) == len({call.content for call in server.calls})


def test_two_processes_do_not_share_a_ledger(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave = lambda call: said("", delay=60)
    folder = project(tmp_path, server)
    first = start(folder)
    until(lambda: len(server.calls) > 0)
    with pytest.raises(DataError, match=r"answers/nli\.jsonl is in use by another process"):
        run(folder, monkeypatch)
    first.kill()
    first.join()


def test_a_server_that_fails_costs_no_answer(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave = lambda call: behave(call) if call.number < 9 else Reply(status=500)
    asked = {"base_url": server.url, "model": "fake", "concurrency": 1, "retries": 0}
    folder = project(tmp_path, server, openai=asked)
    with pytest.raises(BackendError):
        run(folder, monkeypatch)
    assert len(ledger(folder)) == 9


def test_a_corpus_and_exemplars_that_fall_short_are_told_together(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path, server, anchors={"min_words": 30, "max_words": 40}, exemplars={"count": 90})
    with pytest.raises(DataError) as error:
        run(folder, monkeypatch)
    told = str(error.value)
    assert "none of its 120 sentences can be asked about: 120 have not 30 to 40 words (synthesis.anchors)" in told
    assert "exemplars for positive of pattern nli" in told and "exemplars for negative of pattern nli" in told
    assert not server.calls


def test_of_a_corpus_too_small_for_the_quota_the_keys_to_change_are_told(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path, server)
    rows = [sentence._asdict() for sentence in SENTENCES[1:11]]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data/corpus/train.parquet")
    run(folder, monkeypatch)
    told = capsys.readouterr().out
    assert "no sentence is left to ask about for all 60: widen synthesis.anchors" in told
    assert "will refuse fewer than validation.tuples.min_rows, 100" in told
    server.behave = lambda call: said("Sorry, no.")
    (folder / "answers/nli.jsonl").unlink()
    with pytest.raises(
        CseflowError, match=r"came of 10 sentences and .*: chatter 40; widen synthesis\.filters\.chatter"
    ):
        run(folder, monkeypatch)


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path, server)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with (
        monkeypatch.context() as patched,
        pytest.raises(DataError, match=r"No space left on device.*same command again"),
    ):
        patched.setattr(pq, "write_table", full)
        run(folder, monkeypatch)
    calls = len(server.calls)
    run(folder, monkeypatch)
    assert len(server.calls) == calls and (folder / "data/tuples/nli.parquet").is_file()


def test_no_sentence_that_denies_something_is_asked_about(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path, server)
    rows = [sentence._asdict() for sentence in SENTENCES[1:11]]
    denials = [row | {"id": 200 + row["id"], "text": row["text"].replace("was", "was not")} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows + denials), folder / "data/corpus/train.parquet")
    run(folder, monkeypatch)
    assert {call.asked for call in server.calls} == {row["text"] for row in rows}
