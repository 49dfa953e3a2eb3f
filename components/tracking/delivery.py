"""Carries a run's journal to MLflow: beside the training, after it, or a week later; every record arrives once.

How far it came is kept in delivery.json beside the journal. A crash between sending and noting sends again, which
changes nothing: the run is found by its tag, MLflow keeps one of equal metric points, files and tags are overwritten.
"""

import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from components.errors import CseflowError, DataError, UnreachableError
from components.files import written_whole
from components.secrets import without_secrets
from components.tracking import tags
from components.tracking.encoder_model import log_encoder
from components.tracking.journal import DELIVERY, JOURNAL, Record, records
from components.tracking.runs import BEST_STEP
from components.tracking.store import (
    connect,
    experiment_id,
    is_server,
    locked,
    may_pass,
    probe,
    shown_uri,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

log = logging.getLogger(__name__)
LOCK = ".delivery.lock"
METRICS_PER_BATCH = 1000  # MLflow's limits of one request
PARAMS_PER_BATCH = 100
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
# Metrics that tell something of the encoder that a run hands on, not of its training alone.
_OF_THE_MODEL = ("geometry/", "length_bias/", "rfd/", "sts/", "transfer/")
_POLL_SECONDS = 1.0
_INTERRUPTED_SECONDS = 2.0  # that a block left by Ctrl-C or a signal waits for what is on its way
_LONGEST_PAUSE = 60.0
_THREAD = "mlflow-delivery"


@dataclass(frozen=True)
class Delivered:
    """What came of a delivery.

    Attributes:
        run_id: of the MLflow run, None if no server has ever been reached.
        sent: records that are in MLflow by now, all deliveries of this journal together.
        refused: of these, records that MLflow would not take or whose file is gone; each has had its warning.
        kept: records that wait on disk.
        folder: of the journal; `deliver(folder)` sends the rest.
    """

    run_id: str | None
    sent: int
    refused: int
    kept: int
    folder: Path

    @property
    def complete(self) -> bool:
        return self.kept == 0


@dataclass(frozen=True)
class _State:
    """How far the journal has come in the store `uri` (without passwords); `offset` in bytes."""

    uri: str
    run_id: str | None = None
    offset: int = 0
    sent: int = 0
    refused: int = 0


def deliver(folder: Path | str) -> Delivered:
    """Send what the journal in `folder` still keeps, and say how far it came.

    Raises:
        CseflowError: no server answers, or it fails on the way; what was sent is remembered.
        DataError: there is no journal, or it is damaged.
    """
    folder = Path(folder)
    if not (folder / JOURNAL).is_file():
        raise DataError(f"{folder} holds no {JOURNAL}: name the folder of a run")
    courier = _Courier(folder)
    try:
        courier.send_all()
    except (CseflowError, MemoryError):
        raise
    except Exception as error:
        kind = UnreachableError if may_pass(error) else CseflowError
        raise kind(f"MLflow at {shown_uri()} failed on {folder}: {error}; run it again to go on") from error
    return courier.outcome()


def pending(runs: Path | str) -> list[Path]:
    """The folders under `runs` whose journal has records that no server has got yet."""
    return [
        journal.parent
        for journal in sorted(Path(runs).rglob(JOURNAL))
        if _read_state(journal.parent).offset < journal.stat().st_size
    ]


class Delivery:
    """Deliver a journal from a background thread while the block runs; `result` holds the outcome afterwards.

    Nothing that happens there reaches the block: a server that is slow, dead or wrong costs one warning, another one
    tells when it is back. On leaving, what is left is sent if the server answers. That takes as long as bytes move: a
    request that stands still for MLFLOW_HTTP_REQUEST_TIMEOUT seconds (120) ends it, and the rest waits on disk. Left by
    an exception that is no error, such as KeyboardInterrupt, it waits for two seconds at most.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._courier = _Courier(self.folder)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=_THREAD, daemon=True)

    @property
    def run_id(self) -> str | None:
        """Of the MLflow run, once it is known."""
        return _read_state(self.folder).run_id

    @property
    def result(self) -> Delivered:
        return self._courier.outcome()

    def __enter__(self) -> Self:
        import mlflow  # noqa: F401  # here, where no other thread is importing

        # While a server is gone urllib3 would warn at each try; one line of ours says it.
        logging.getLogger("urllib3.connectionpool").addFilter(_not_from_delivery)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        stopped = error is not None and not isinstance(error, Exception)
        self._thread.join(_INTERRUPTED_SECONDS if stopped else None)
        outcome = self.result
        if outcome.kept:
            log.warning("%d records of %s are not in MLflow yet; they are kept there", outcome.kept, self.folder)

    def _work(self) -> None:
        lost_since: float | None = None
        while True:
            last = self._closing.is_set()
            try:
                if lost_since is not None or last:
                    self._courier.check_server()
                self._courier.send_all()
                if lost_since is not None:
                    log.warning("MLflow at %s answers again: nothing was lost", shown_uri())
                lost_since, pause = None, _POLL_SECONDS
            except Exception as error:
                if lost_since is None:
                    log.warning(
                        "MLflow at %s does not take records (%s); the run goes on, they wait in %s",
                        shown_uri(),
                        without_secrets(" ".join(str(error).split())[:300]),
                        self.folder / JOURNAL,
                    )
                    lost_since, pause = time.monotonic(), _POLL_SECONDS
                else:
                    pause = min(2 * pause, _LONGEST_PAUSE)
            if last:
                return
            self._closing.wait(pause)


class _Courier:
    """Sends batches, each under the folder's lock and noted at once, so that several couriers never send twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._client: MlflowClient | None = None
        self._verified = False

    def check_server(self) -> None:
        if is_server(tracking_uri()):
            probe(tracking_uri())

    def send_all(self) -> None:
        try:
            while self._waiting() and self._send_next():
                pass
        except Exception:
            self._client, self._verified = None, False  # look again for server and run at the next try
            raise

    def outcome(self) -> Delivered:
        state = _read_state(self.folder)
        kept = sum(1 for _ in records(self.folder / JOURNAL, state.offset))
        return Delivered(state.run_id, state.sent, state.refused, kept, self.folder)

    def _waiting(self) -> bool:
        """Whether there may be something to do, without a lock or a parse."""
        path = self.folder / JOURNAL
        return path.exists() and path.stat().st_size > (_read_state(self.folder).offset if self._verified else -1)

    def _send_next(self) -> bool:
        """Send one batch; False when the journal has no more whole records."""
        client = self._client = self._client or connect()
        with locked(self.folder / LOCK):
            state = self._state(client)
            if state is None or state.run_id is None:
                return False
            batch, offset = _next_batch(self.folder / JOURNAL, state.offset)
            if not batch:
                return False
            refused = _send(client, state.run_id, self.folder, batch)
            sent, refused = state.sent + len(batch), state.refused + refused
            _write_state(self.folder, replace(state, offset=offset, sent=sent, refused=refused))
        return True

    def _state(self, client: "MlflowClient") -> _State | None:
        """The state with the run found or made in this store; None before the journal has started."""
        state = _read_state(self.folder)
        if state.uri == shown_uri() and self._verified:
            return state
        found = _ensure_run(client, self.folder, state)
        self._verified = found is not None
        return found


def _ensure_run(client: "MlflowClient", folder: Path, state: _State) -> _State | None:
    """The run of the journal in `folder` and, before it, that of its parent; call under the folder's lock."""
    start = next((record for record, _ in records(folder / JOURNAL)), None)
    if start is None:
        return None
    if state.run_id and _is_alive(client, state.run_id):
        if state.uri != shown_uri():  # the same store by another address: moved, or behind a server by now
            state = replace(state, uri=shown_uri())
            _write_state(folder, state)
        return state
    experiment = experiment_id(client, start["experiment"])
    known = client.search_runs([experiment], f"tags.`{tags.JOURNAL}` = '{start['journal']}'", max_results=1)
    run_id = known[0].info.run_id if known else None
    if run_id is None:
        own = {tags.JOURNAL: start["journal"]}
        if start["parent"] is not None:
            parent = _parent_run(client, folder / start["parent"])
            own |= {tags.PARENT: parent} if parent else {}
        run_id = client.create_run(experiment, start_time=start["time"], tags=own, run_name=start["name"]).info.run_id
    state = _State(shown_uri(), run_id)
    _write_state(folder, state)
    return state


def _parent_run(client: "MlflowClient", folder: Path) -> str | None:
    if folder.is_dir():
        with locked(folder / LOCK):
            state = _ensure_run(client, folder, _read_state(folder))
        if state is not None:
            return state.run_id
    log.warning("%s holds no journal of a parent run: its children are delivered without one", folder)
    return None


def _is_alive(client: "MlflowClient", run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _next_batch(path: Path, offset: int) -> tuple[list[Record], int]:
    """As many metric records as fit in one request, or one record of another kind, and the offset behind them."""
    batch: list[Record] = []
    points = 0
    for record, after in records(path, offset):
        if record["kind"] != "metrics":
            return (batch, offset) if batch else ([record], after)
        points += len(record["values"])
        if batch and points > METRICS_PER_BATCH:
            break
        batch.append(record)
        offset = after
    return batch, offset


def _send(client: "MlflowClient", run_id: str, folder: Path, batch: list[Record]) -> int:
    """Send records of one kind; the number of those that can't ever be sent. Anything else that fails is raised."""
    try:
        if batch[0]["kind"] == "metrics":
            _send_metrics(client, run_id, batch)
        else:
            _send_one(client, run_id, folder, batch[0])
    except Exception as error:
        if not _is_refusal(error):
            raise
        if len(batch) > 1:
            return sum(_send(client, run_id, folder, [record]) for record in batch)
        log.warning("left out of MLflow run %s: %s record (%s)", run_id, batch[0]["kind"], error)
        return 1
    return 0


def _send_metrics(client: "MlflowClient", run_id: str, batch: list[Record]) -> None:
    from mlflow.entities import Metric

    points = [
        Metric(key, value, record["time"], record["step"])
        for record in batch
        for key, value in record["values"].items()
    ]
    for piece in _pieces(points, METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=piece, synchronous=True)


def _points_of_the_model(folder: Path) -> "list[Metric]":
    """The run's points that describe the encoder it hands on, each with the data set that it was measured on.

    Of a curve that is the point at the step whose weights were exported, of anything else the last one.
    """
    from mlflow.entities import Metric

    points: dict[str, dict[int, tuple[float, int]]] = {}  # key → step → value, time
    digests: dict[str, str] = {}
    for record, _ in records(folder / JOURNAL):
        if record["kind"] == "start":
            digests = {item["name"]: item["digest"] for item in record["datasets"]}
        elif record["kind"] == "metrics":
            for key, value in record["values"].items():
                points.setdefault(key, {})[record["step"]] = (value, record["time"])
    best = int(next((value for value, _ in points.get(BEST_STEP, {}).values()), 0))
    found = []
    for key, by_step in points.items():
        if key.startswith(_OF_THE_MODEL):
            step = best if best in by_step else max(by_step)
            value, moment = by_step[step]
            name = _measured_on(key)
            digest = digests.get(name)
            found.append(Metric(key, value, moment, step, dataset_name=digest and name, dataset_digest=digest))
    return found


def _measured_on(key: str) -> str:
    """The name of the data set that a metric is measured on, whether or not there is one."""
    kind, _, rest = key.partition("/")
    data = rest.partition("/")[0]
    return f"sts/{data}.parquet" if kind in ("sts", "length_bias", "geometry") else f"{kind}/{data}"


def _send_one(client: "MlflowClient", run_id: str, folder: Path, record: Record) -> None:
    match record["kind"]:
        case "start":
            _send_tags(client, run_id, record["tags"])
            _send_params(client, run_id, record["params"])
            _send_datasets(client, run_id, record["datasets"])
        case "tags":
            _send_tags(client, run_id, record["tags"])
        case "artifact":
            path, place = folder / record["path"], record["folder"] or None
            if path.is_dir():
                client.log_artifacts(run_id, str(path), "/".join(filter(None, [place, path.name])))
            else:
                client.log_artifact(run_id, str(_existing(path)), place)
        case "model":
            log_encoder(client, run_id, _existing(folder / record["path"]), _points_of_the_model(folder))
        case "finish":
            client.set_terminated(run_id, record["status"], end_time=record["time"])
        case "resume":
            client.update_run(run_id, status="RUNNING")


def _send_tags(client: "MlflowClient", run_id: str, values: dict[str, str]) -> None:
    from mlflow.entities import RunTag

    for piece in _pieces([RunTag(key, value[:TAG_LENGTH]) for key, value in values.items()], PARAMS_PER_BATCH):
        client.log_batch(run_id, tags=piece, synchronous=True)


def _send_params(client: "MlflowClient", run_id: str, values: dict[str, str]) -> None:
    from mlflow.entities import Param

    for piece in _pieces([Param(key, value[:PARAM_LENGTH]) for key, value in values.items()], PARAMS_PER_BATCH):
        client.log_batch(run_id, params=piece, synchronous=True)


def _send_datasets(client: "MlflowClient", run_id: str, values: list[dict[str, str]]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(item["name"], item["digest"], source_type="local", source=json.dumps({"uri": item["source"]})),
            [InputTag("mlflow.data.context", item["context"])],
        )
        for item in values
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


def _is_refusal(error: Exception) -> bool:
    """Whether sending the same again can't help."""
    from mlflow.exceptions import MlflowException
    from requests import HTTPError

    if isinstance(error, MlflowException):
        return error.get_http_status_code() == 400
    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code in (400, 413, 422)
    return isinstance(error, FileNotFoundError)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"{path} is gone")
    return path


def _pieces(items: list[Any], size: int) -> Iterator[list[Any]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _read_state(folder: Path) -> _State:
    try:
        return _State(**json.loads((folder / DELIVERY).read_text()))
    except FileNotFoundError:
        return _State(shown_uri())


def _write_state(folder: Path, state: _State) -> None:
    with written_whole(folder / DELIVERY) as aside:
        aside.write_text(json.dumps(vars(state), indent=2) + "\n")


def _not_from_delivery(record: logging.LogRecord) -> bool:
    return record.threadName != _THREAD
