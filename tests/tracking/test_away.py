"""A server that goes away and comes back, at each place where a flow needs it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import UnreachableError
from components.tracking.delivery import deliver
from components.tracking.journal import Journal
from flows import orchestration
from flows.compare import add_report, champion_of, results_of
from flows.experiment import deliver_parent
from flows.orchestration import RETRY_SECONDS, retry_can_help
from flows.promote import make_champion, remove_tag, verdict_of
from tests.tracking.server import Server

TASKS = (results_of, champion_of, verdict_of, remove_tag, make_champion, add_report, deliver_parent)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.prefect.name.replace(" ", "_"))
def test_a_task_that_needs_the_server_is_tried_again(task: orchestration.Orchestrated[..., object]) -> None:
    options = task.prefect
    assert (options.retries, options.retry_condition_fn) == (len(RETRY_SECONDS), retry_can_help)


def _run(folder: Path, encoder: Path) -> tuple[str, Path]:
    """The id in MLflow of a run with an encoder and a record that is still to be sent, and its folder."""
    shutil.copytree(encoder, folder / "encoder")
    with Journal(folder) as journal:
        journal.start("simcse seed 0", "away", tags={"cse.variant": "simcse", "cse.seed": "0"}, params={"seed": 0})
        journal.metrics({"sts/STSB": 80.0}, 1)
        journal.model(folder / "encoder")
        journal.finish()
    run_id = deliver(folder).run_id
    assert run_id is not None
    with Journal(folder) as journal:
        journal.tags({"later": "yes"})
    return run_id, folder


def test_each_place_says_that_the_server_is_away_and_works_when_it_is_back(
    server: Server, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration, "tracked", lambda: False)
    run_id, folder = _run(tmp_path / "run", tiny_encoder)
    page = tmp_path / "report/index.html"
    page.parent.mkdir()
    page.write_text("a report")
    places: dict[str, Callable[[], bool]] = {
        "results": lambda: [result.run_id for result in results_of([run_id])] == [run_id],
        "champion": lambda: champion_of("nobody") is None,
        "promotion": lambda: make_champion("away", run_id, report_markdown="passed").run_id == run_id,
        "report": lambda: add_report(run_id, page.parent) is None,
        "delivery": lambda: deliver_parent(folder).complete,
    }

    def said(call: Callable[[], bool]) -> str:
        try:
            return "done" if call() else "something else"
        except UnreachableError:
            return "away"

    server.kill()
    while_away = {place: said(call) for place, call in places.items()}
    server.start()
    when_back = {place: said(call) for place, call in places.items()}
    assert (while_away, when_back) == (dict.fromkeys(places, "away"), dict.fromkeys(places, "done"))
