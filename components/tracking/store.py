"""Which MLflow store, and a client for it that finds out in seconds when no server answers."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import CseflowError, UnreachableError
from components.files import written_whole
from components.processes import spare_loopback

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROBE_SECONDS = 5
# MLflow's own defaults wait four minutes for a dead server. What the user has set stays.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or the SQLite file mlflow.db of the working folder by its absolute path."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"


def is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def connect() -> "MlflowClient":
    """A client of the store that `tracking_uri` names; a new SQLite store is set up on the way.

    Raises:
        UnreachableError: no server answers there.
        CseflowError: the store can't be opened.
    """
    spare_loopback()
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    from mlflow import MlflowClient

    for talkative in ("alembic", "mlflow.store.db.utils"):  # a hundred lines on the first day of a store
        logging.getLogger(talkative).setLevel(logging.WARNING)
    uri = tracking_uri()
    if is_server(uri):
        probe(uri)
    with foreseen():
        _set_up(uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or uri)
        client.search_experiments(max_results=1)
    return client


def probe(uri: str) -> None:
    """Return if anything at all answers at the server `uri` within `PROBE_SECONDS`.

    Raises:
        UnreachableError: nothing does.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        http_request(
            get_default_host_creds(uri), "/health", "GET", timeout=PROBE_SECONDS, max_retries=0, raise_on_status=False
        )
    except (MlflowException, OSError) as error:
        raise UnreachableError(
            f"no MLflow server answers at {uri}: start it, or unset MLFLOW_TRACKING_URI to use ./mlflow.db "
            f"({_reason(error)})"
        ) from None


def experiment_id(client: "MlflowClient", name: str) -> str:
    """The experiment `name`, made if need be; beside a SQLite file its artifacts go to a folder `mlartifacts`."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            # By its kind the UI opens it as runs to compare, not as traces of an application.
            return client.create_experiment(
                name,
                artifact_location=_local_artifacts(client.tracking_uri),
                tags={"mlflow.experimentKind": "custom_model_development"},
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another run was quicker
                raise
            found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage == "deleted":
        raise CseflowError(
            f"the MLflow experiment {name!r} was deleted: restore it (mlflow experiments restore), or name another in "
            "params.yaml under tracking.experiment"
        )
    return found.experiment_id


@contextmanager
def foreseen() -> Iterator[None]:
    """Tell what MLflow refuses (CseflowError) or can't reach just now (UnreachableError) in one sentence."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import OperationalError, SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError) as error:
        passing = isinstance(error, RequestException | OperationalError) or (
            isinstance(error, MlflowException) and error.get_http_status_code() >= 500 and is_server(tracking_uri())
        )
        kind = UnreachableError if passing else CseflowError
        raise kind(f"MLflow at {tracking_uri()} could not do it: {_reason(error)}") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` against other processes and threads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _set_up(uri: str) -> None:
    """Make the tables of a new SQLite store, whole or not at all.

    MLflow makes them where they are to stay, by dozens of migrations: two first runs at once, or one that is killed,
    would leave a store that can't be opened any more.
    """
    from mlflow import MlflowClient

    path = _sqlite_file(uri)
    if path is None or path.exists():
        return
    with locked(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            with written_whole(path) as aside:
                MlflowClient(f"sqlite:///{aside}").search_experiments(max_results=1)


def _sqlite_file(uri: str) -> Path | None:
    name = uri.removeprefix("sqlite:///")
    return Path(name).absolute() if name not in (uri, "", ":memory:") else None


def _local_artifacts(uri: str) -> str | None:
    path = _sqlite_file(uri)  # a server or a shared data base has its own place for artifacts
    return None if path is None else path.with_name("mlartifacts").as_uri()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).partition("[SQL:")[0].split())
    return text if len(text) <= 300 else text[:300] + "…"
