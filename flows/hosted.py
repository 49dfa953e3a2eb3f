"""What a run does besides its work when a worker runs it: it dies with the worker, says where it stands, and stops
where the host's data are not those that were asked for."""

import contextvars
import json
import platform
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import CseflowError, DataError, UnreachableError
from components.processes import end_with_parent
from components.tracking import tags
from components.tracking.journal import DELIVERY, JOURNAL, records
from components.tracking.lineage import data_version
from components.tracking.runs import run_url
from components.training.names import PROGRESS
from flows.orchestration import deployed, network_task, run_logger, tracked
from flows.steps import data_status

CRASHES = 5  # of one run, before it is given up
_PAUSE = 30.0  # seconds before the third start; doubled for each one more
_LOOK = 3.0  # seconds between looks into the journal


def begin() -> None:
    """To be called first in every flow that is deployed.

    The process dies with its worker, so that it doesn't hold a device that nobody watches. A run that has crashed
    before waits, longer each time, and is given up after `CRASHES`.

    Raises:
        CseflowError: it has crashed too often.
    """
    if not deployed():
        return
    from prefect import get_client, runtime
    from prefect.client.schemas.objects import StateType

    end_with_parent()
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(runtime.flow_run.id)
    crashes = sum(state.type == StateType.CRASHED for state in states)
    if crashes >= CRASHES:
        raise CseflowError(f"given up after {crashes} crashes: see the worker's log for what kills it, then retry it")
    if crashes > 1:
        pause = _PAUSE * 2 ** (crashes - 2)
        run_logger().warning("crashed %d times: waiting %.0f seconds", crashes, pause)
        time.sleep(pause)
    elif crashes:
        run_logger().warning("crashed once: going on from what is on disk")


def require_data_version(version: str | None) -> None:
    """See that this folder's dvc.lock is the one that was asked for; None asks for nothing.

    Args:
        version: `components.tracking.lineage.data_version` of it.

    Raises:
        DataError: it isn't.
    """
    have = data_version()
    if version is not None and version != have:
        raise DataError(
            f"the data version asked for is {version}, but {_here()} has {have}: bring the dvc.lock that was meant and "
            "its data there (git pull, dvc pull), or ask for that version"
        )


def require_data(needed: Iterable[str]) -> None:
    """See that the paths `needed`, in data/, are as dvc.lock has them.

    Raises:
        DataError: they aren't.
    """
    status = json.loads(data_status()).get("uncommitted", {})
    changed = [path.rstrip("/") for kind in ("modified", "deleted") for path in status.get(kind, [])]
    bad = sorted(path for path in needed if any(path == out or path.startswith(f"{out}/") for out in changed))
    if bad:
        raise DataError(
            f"{', '.join(bad)} in {_here()} differ from dvc.lock: run dvc checkout (or dvc pull, dvc repro) there"
        )


def _here() -> str:
    return f"{Path.cwd()} on {platform.node()}"


def links() -> dict[str, str]:
    """Tags that lead from an MLflow run to its Prefect run."""
    if not tracked():
        return {}
    from prefect import runtime

    own = {tags.FLOW_RUN: str(runtime.flow_run.id)}
    url = runtime.flow_run.ui_url
    return own | ({tags.NOTE: f"[Run in Prefect]({url}): logs, progress, artifacts"} if url else {})


def link_to_mlflow(run_id: str) -> None:
    """Show the MLflow run with the Prefect run, where both have a page."""
    if tracked() and (url := page_of(run_id)):
        from prefect.artifacts import create_link_artifact

        create_link_artifact(url, link_text="MLflow run", key="mlflow-run", description=f"`{run_id}`")


def page_of(run_id: str) -> str | None:
    """The MLflow run's page; None where it has none, or the server is away for long: it is but a link."""
    try:
        return _page(run_id)
    except UnreachableError:
        return None


_page = network_task("find the run's page")(run_url)


def show_markdown(text: str, key: str, description: str) -> None:
    """Show a text with the present Prefect run, if there is one."""
    if tracked():
        from prefect.artifacts import create_markdown_artifact

        create_markdown_artifact(text, key=key, description=description)


def tries() -> int:
    """How often Prefect has started this run, this time counted; 1 without Prefect."""
    if not tracked():
        return 1
    from prefect import runtime

    return runtime.flow_run.run_count or 1


@contextmanager
def shown(folder: Path) -> Iterator[None]:
    """While the block trains in `folder`, show in Prefect how far it is, and the MLflow run as soon as there is one.

    A thread reads it off the journal, so that no training step waits for a server.
    """
    if not tracked():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=contextvars.copy_context().run, args=(_show, folder, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(10)


def _show(folder: Path, done: threading.Event) -> None:
    from prefect.artifacts import create_progress_artifact, update_progress_artifact

    artifact: Any = None
    share = given = 0.0
    offset, linked, last = 0, False, False
    while True:
        try:
            for record, after in records(folder / JOURNAL, offset):
                share, offset = record.get("values", {}).get(PROGRESS, share), after
            if artifact is None and share > 0:
                artifact = create_progress_artifact(0.0, key="progress", description="share of the steps that are done")
            if share != given:
                update_progress_artifact(artifact, 100 * share)
                given = share
            if not linked and (run_id := _delivered_to(folder)) is not None:
                link_to_mlflow(run_id)
                linked = True
        except Exception as error:  # whatever a server does, the training goes on
            run_logger().debug("progress is not shown: %s", error)
        if last:
            return
        last = done.wait(_LOOK)


def _delivered_to(folder: Path) -> str | None:
    state = folder / DELIVERY
    found: str | None = json.loads(state.read_text())["run_id"] if state.exists() else None
    return found
