"""The main job, end to end: data by DVC, runs by Prefect, results in MLflow, the gate, the champion."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import KEY, PASSWORD, Project
from tests.tracking.server import Server, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def first(project: Project) -> str:
    """What the first experiment printed."""
    done = project.run("cseflow", "experiment", "--variants", "simcse,ngcse-sts-ht", "--seeds", "0,1")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_data_up_to_date_is_not_made_again(project: Project) -> None:
    assert "up to date" in project.run("dvc", "repro").stdout


def test_the_data_flow_runs_dvc(project: Project) -> None:
    done = project.run("python", "-c", "from flows.data import data; data()")
    assert done.returncode == 0 and "up to date" in done.stdout, done.stderr


def test_the_leaderboard_names_every_variant(first: str) -> None:
    assert all(name in first for name in ("untrained", "simcse", "ngcse-sts-ht"))


def test_the_gate_gives_its_verdict(first: str) -> None:
    assert "Gate passed" in first


def test_the_report_is_one_page(project: Project, first: str) -> None:
    (page,) = project.folder.glob("reports/experiment-*/index.html")
    assert "<img" in page.read_text()


def test_each_run_carries_the_verdicts_it_relied_on(project: Project, first: str) -> None:
    (journal,) = project.folder.glob("runs/ngcse-sts-ht-seed0-*/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    tags = {key for key, value in records[0]["tags"].items() if key.startswith("cse.validation.") and value == "passed"}
    kinds = ["corpus", "sts", "tuples", "views"]
    assert tags == {f"cse.validation.{kind}" for kind in kinds}
    logged = {record["path"] for record in records if record.get("folder") == "validation"}
    assert logged == {f"validation/{kind}.{end}" for kind in kinds for end in ("json", "html")}


def test_the_champion_scores_what_was_logged(project: Project, first: str) -> None:
    out = project.folder / "champion.json"
    done = project.run("cseflow", "evaluate", "models:/cse-encoder@champion", "--tasks", "STSB", "--json", str(out))
    assert done.returncode == 0, done.stderr
    champion = json.loads(out.read_text())["STSB"]
    assert any(champion == pytest.approx(score, abs=1e-4) for score in logged_scores(project))


def logged_scores(project: Project) -> list[float]:
    """`sts/STSB` of every run, as the journals have them."""
    found = []
    for journal in project.folder.glob("runs/*-seed*/journal.jsonl"):
        for line in journal.read_text().splitlines():
            record = json.loads(line)
            if record["kind"] == "metrics" and "sts/STSB" in record["values"]:
                found.append(record["values"]["sts/STSB"])
    return found


def test_a_second_run_redoes_nothing(project: Project, first: str) -> None:
    before = _written(project)
    done = project.run("cseflow", "experiment", "--variants", "simcse,ngcse-sts-ht", "--seeds", "0,1")
    after = _written(project)
    assert "is champion of cse-encoder already" in done.stdout
    assert before == after


def test_a_report_follows_the_rules(project: Project, first: str) -> None:
    (page,) = project.folder.glob("reports/experiment-*/index.html")
    params = project.folder / "params.yaml"
    before = params.read_text()
    command = ("cseflow", "experiment", "--variants", "simcse,ngcse-sts-ht", "--seeds", "0,1")
    try:
        renamed = before.replace("model: cse-encoder", "model: another")
        params.write_text(renamed.replace("minimum: -100.0", "minimum: 101.0"))
        strict, strict_page = project.run(*command), page.read_text()
        params.write_text(renamed)
        loose, loose_page = project.run(*command), page.read_text()
    finally:
        params.write_text(before)
    assert ("Gate not passed" in strict.stdout, "Gate not passed" in strict_page) == (True, True)
    assert "champion:" not in strict.stdout and "@champion" not in strict_page
    assert ("Gate passed" in loose.stdout, "Gate passed" in loose_page) == (True, True)
    assert "Load the champion:" in loose.stdout and "Gate not passed" not in loose_page


def _written(project: Project) -> dict[Path, int]:
    """When each file of the runs was written; a lock is also touched by who finds nothing to do."""
    files = (path for path in project.folder.glob("runs/*/*") if path.is_file() and path.suffix != ".lock")
    return {path: path.stat().st_mtime_ns for path in files}


def test_rolling_back_without_a_former_champion_says_so(project: Project, first: str) -> None:
    done = project.run("cseflow", "rollback")
    assert done.returncode == 1
    assert "no former champion" in done.stderr


def test_a_failing_variant_leaves_the_others_standing(project: Project, first: str) -> None:
    done = project.run("cseflow", "experiment", "--variants", "diverging,simcse", "--seeds", "0")
    assert done.returncode == 1
    assert "failed: diverging seed 0: the loss is" in done.stdout
    assert "simcse" in done.stdout.partition("failed:")[0]


def test_an_unknown_variant_is_named_before_any_work(project: Project) -> None:
    done = project.run("cseflow", "train", "simsce")
    assert done.returncode == 1
    assert "no variant named 'simsce' (did you mean 'simcse'?)" in done.stderr


def test_a_tracking_server_that_is_dead_from_the_start_is_said_at_once(project: Project) -> None:
    done = project.run("cseflow", "train", "simcse", "--seed", "7", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no MLflow server answers at http://127.0.0.1:9" in done.stderr


def test_a_tracking_server_that_dies_costs_no_training(project: Project) -> None:
    folder = project.folder / ".state/server"
    folder.mkdir()
    server = Server(folder)
    server.start()
    try:
        uri = server.uri.replace("//", f"//me:{PASSWORD}@")
        training = project.start("cseflow", "train", "simcse", "--seed", "8", MLFLOW_TRACKING_URI=uri)
        until(lambda: any(project.folder.glob("runs/simcse-seed8-*/delivery.json")))
        server.kill()
        out, said = training.communicate(timeout=1200)
        project.printed.append(out + said)
        (run,) = project.folder.glob("runs/simcse-seed8-*")
        assert training.returncode == 1 and "send them with: cseflow deliver" in said
        assert (run / "encoder" / "model.safetensors").exists()
        server.start()
        delivered = project.run("cseflow", "deliver", MLFLOW_TRACKING_URI=uri)
        assert delivered.returncode == 0, delivered.stderr
        again = project.run("cseflow", "train", "simcse", "--seed", "8", MLFLOW_TRACKING_URI=uri)
        assert json.loads((run / "delivery.json").read_text())["run_id"] in again.stdout
    finally:
        server.kill()


def test_no_secret_is_written_or_shown(project: Project, first: str) -> None:
    """By all of the above: of keys in the environment, and of passwords in URLs of MLflow, a proxy and git's remote."""
    written = {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    del written[project.folder / ".git/config"]  # git's own
    assert {"mlflow.db", "journal.jsonl", "index.html", "sts.jsonl", "dvc.lock"} <= {path.name for path in written}
    for secret in (KEY, PASSWORD):
        assert not [path for path, content in written.items() if secret.encode() in content]
        assert not [text for text in [first, *project.printed] if secret in text]
