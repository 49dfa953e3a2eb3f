"""Asking MLflow for finished runs: to reuse them, to compare them, to link to them."""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from components import paths
from components.errors import CseflowError
from components.evaluation.predictions import Scores, load_predictions
from components.evaluation.result import RunResult
from components.tracking import tags
from components.tracking.journal import DELIVERY
from components.tracking.store import connect, foreseen, is_server, require_active, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PREDICTIONS = "scores/predictions.parquet"
PATTERNS = "scores/patterns.json"
REPORT = "report"
BEST_STEP = "train/best_step"  # the step whose weights were exported
_loaded: dict[tuple[str, str], tuple[tuple[object, ...], RunResult]] = {}


def find_finished(experiment: str, fingerprint: str) -> str | None:
    """The newest FINISHED run of `experiment` that was made of the same code, data, parameters and seed.

    Raises:
        CseflowError: the experiment was deleted: nothing new could be delivered to it.
    """
    client = connect()
    with foreseen():
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return None
        require_active(found)
        wanted = f"tags.`{tags.FINGERPRINT}` = '{fingerprint}' AND attributes.status = 'FINISHED'"
        runs = client.search_runs([found.experiment_id], wanted, max_results=1, order_by=["attributes.start_time DESC"])
    return runs[0].info.run_id if runs else None


def finished_runs(named: Iterable[str]) -> list[str]:
    """Ids of the finished MLflow runs that `named` stands for: by id, by folder in runs/, or by an experiment of them.

    Raises:
        CseflowError: one is no run, is not in MLflow, or has not finished.
    """
    client = connect()
    found: dict[str, None] = {}
    for name in named:
        run_id = _delivered_as(Path(name)) if Path(name).is_dir() else name
        with foreseen():
            run = _run(client, run_id)
            if run is None:
                raise CseflowError(f"MLflow has no run {run_id!r}: name runs by their MLflow ids or folders in runs/")
            if run.data.tags.get(tags.KIND, "run") == "run":
                runs = [run]
            else:
                parts = f"tags.`{tags.PARENT}` = '{run_id}' AND attributes.status = 'FINISHED'"
                runs = client.search_runs([run.info.experiment_id], parts, order_by=["attributes.start_time"])
        for each in runs:
            if each.info.status != "FINISHED":
                raise CseflowError(
                    f"MLflow run {each.info.run_id} is {each.info.status}, not FINISHED: run the same training again "
                    "to go on with it, or leave it out"
                )
            found[each.info.run_id] = None
        if not runs:
            raise CseflowError(f"MLflow run {run_id} holds no finished runs")
    return list(found)


def folders_of(run_id: str, runs: Path = paths.RUNS) -> list[Path]:
    """The folders in `runs` whose journal was sent to the MLflow run."""
    return [state.parent for state in sorted(runs.glob(f"*/{DELIVERY}")) if _sent_to(state.parent) == run_id]


def _sent_to(folder: Path) -> str | None:
    try:
        run_id = json.loads((folder / DELIVERY).read_text(encoding="utf-8"))["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return run_id if isinstance(run_id, str) else None


def _delivered_as(folder: Path) -> str:
    """The id of the MLflow run that the journal in `folder` was sent to."""
    run_id = _sent_to(folder)
    if run_id is None:
        raise CseflowError(f"{folder} is no run that MLflow has: name a folder in runs/, or run cseflow deliver first")
    return run_id


def _run(client: "MlflowClient", run_id: str) -> "Run | None":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def load_result(run_id: str) -> RunResult:
    """Everything a finished run has to say, with its curves and predictions.

    A process keeps what it has loaded while the run's status, metrics and tags stay what they were: gate and report
    read the same runs, and each curve is a request. Not to be changed by the caller.

    Raises:
        CseflowError: there is no such run, or no server.
    """
    client = connect()
    with foreseen():
        run = client.get_run(run_id)
        state = (run.info.status, run.info.end_time, run.data.metrics, run.data.tags)
        where = tracking_uri(), run_id
        if where not in _loaded or _loaded[where][0] != state or run.info.status != "FINISHED":
            _loaded[where] = state, _result(client, run)
        return _loaded[where][1]


def log_report(run_id: str, folder: Path | str) -> None:
    """Put the files of `folder` under `report/` of the run's artifacts."""
    client = connect()
    with foreseen():
        client.log_artifacts(run_id, str(folder), REPORT)


def run_url(run_id: str) -> str | None:
    """The page of the run in MLflow's UI; None where the store is no server."""
    uri = tracking_uri().rstrip("/")
    if not is_server(uri):
        return None
    client = connect()
    with foreseen():
        return f"{uri}/#/experiments/{client.get_run(run_id).info.experiment_id}/runs/{run_id}"


def _at_best_step(curves: dict[str, list[tuple[int, float]]]) -> dict[str, float]:
    """What was measured at the step whose weights the run handed on; MLflow's own last values are of the last step."""
    best = int(curves.get(BEST_STEP, [(0, 0.0)])[-1][1])
    return {
        key: value
        for key, points in curves.items()
        if key.startswith(("geometry/", "sts/")) and len(points) > 1
        for step, value in points
        if step == best
    }


def _result(client: "MlflowClient", run: "Run") -> RunResult:
    run_id, own = run.info.run_id, run.data.tags
    curves = {
        key: sorted((point.step, point.value) for point in client.get_metric_history(run_id, key))
        for key in run.data.metrics
    }
    files = {entry.path for entry in client.list_artifacts(run_id, str(Path(PREDICTIONS).parent))}
    with tempfile.TemporaryDirectory(prefix="cseflow-") as scratch:
        gold: Scores = {}
        cosines: Scores = {}
        if PREDICTIONS in files:
            gold, cosines = load_predictions(Path(client.download_artifacts(run_id, PREDICTIONS, scratch)))
        patterns = {}
        if PATTERNS in files:
            patterns = json.loads(Path(client.download_artifacts(run_id, PATTERNS, scratch)).read_text())
    return RunResult(
        variant=own.get(tags.VARIANT, run.info.run_name),
        seed=int(own.get(tags.SEED, 0)),
        run_id=run_id,
        metrics=run.data.metrics | _at_best_step(curves),
        curves=curves,
        gold=gold,
        cosines=cosines,
        patterns=patterns,
        validations={
            key.removeprefix(tags.VALIDATION): value == "passed"
            for key, value in own.items()
            if key.startswith(tags.VALIDATION)
        },
        settings=run.data.params,
    )
