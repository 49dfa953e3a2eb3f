"""Which MLflow store, and a client for it that finds out in seconds when no server answers."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from components.errors import CseflowError, UnreachableError
from components.files import written_whole
from components.processes import spare_loopback
from components.secrets import without_secrets
from components.tracking.relocation import ARTIFACTS, relocate

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

PROBE_SECONDS = 5
# What the user has set stays. MLFLOW_HTTP_REQUEST_TIMEOUT, 120 seconds by default, is how long a server may be silent:
# as long as bytes move, no request ends. By MLflow's own retries a dead server would be waited for for many minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or the SQLite file mlflow.db of the working folder by its absolute path.

    A server's comes without user and password, which `connect` hands to MLflow aside. A data base's own may hold some:
    show `shown_uri` instead.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"
    return _without_user(uri) if is_server(uri) else uri


def shown_uri() -> str:
    """`tracking_uri` as it may be printed and kept: without a password."""
    return without_secrets(tracking_uri())


def registry_uri() -> str:
    """`MLFLOW_REGISTRY_URI`, by default the tracking store."""
    return os.environ.get("MLFLOW_REGISTRY_URI") or tracking_uri()


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
    os.environ |= _credentials()
    from mlflow import MlflowClient

    for talkative in ("alembic", "mlflow.store.db.utils"):  # a hundred lines on the first day of a store
        logging.getLogger(talkative).setLevel(logging.WARNING)
    uri = tracking_uri()
    if is_server(uri):
        probe(uri)
    with foreseen():
        _set_up(uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=registry_uri())
        client.search_experiments(max_results=1)
    return client


def probe(uri: str) -> None:
    """Return if anything at all answers at the server `uri` within `PROBE_SECONDS`.

    Raises:
        UnreachableError: nothing does.
    """
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=PROBE_SECONDS)
    except requests.exceptions.SSLError:
        return  # something answers; what is wrong with its certificate, MLflow says
    except (requests.RequestException, OSError) as error:
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
    if found is None:
        raise CseflowError(f"the MLflow experiment {name!r} came and went: is someone deleting it? Run it again")
    require_active(found)
    return found.experiment_id


def require_active(experiment: "Experiment") -> None:
    """Raise CseflowError, with the way on, where an experiment was deleted."""
    if experiment.lifecycle_stage == "deleted":
        raise CseflowError(
            f"the MLflow experiment {experiment.name!r} was deleted: restore it (mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}), or name another in params.yaml under tracking.experiment"
        )


@contextmanager
def process_store() -> Iterator[None]:
    """Have MLflow's own global store be ours, for the calls that go by it whatever client makes them.

    Without, a folder `mlruns` in the project, or an earlier `mlflow.set_tracking_uri`, would send them elsewhere.
    """
    import mlflow

    variable = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(tracking_uri())
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # goes by the variable again, which it also removes
        if variable is not None:
            os.environ["MLFLOW_TRACKING_URI"] = variable


def may_pass(error: Exception) -> bool:
    """Whether the same may succeed later: the network, a busy data base, or a server that is not itself."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import OperationalError

    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        # 503 is also an SQLite file that stayed locked
        return status == 503 or (status >= 500 and is_server(tracking_uri()))
    return isinstance(error, RequestException | OperationalError)


@contextmanager
def foreseen() -> Iterator[None]:
    """Tell what MLflow refuses (CseflowError) or can't reach just now (UnreachableError) in one sentence."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError) as error:
        kind = UnreachableError if may_pass(error) else CseflowError
        raise kind(f"MLflow at {shown_uri()} could not do it: {_reason(error)}") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` against other processes and threads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _set_up(uri: str) -> None:
    """Make the tables of a new SQLite store, whole or not at all; have one that was moved lead to its new folder.

    MLflow makes them where they are to stay, by dozens of migrations: two first runs at once, or one that is killed,
    would leave a store that can't be opened any more.
    """
    from mlflow import MlflowClient

    path = sqlite_file(uri)
    if path is None:
        return
    if not path.exists():
        with locked(path.with_name(f"{path.name}.lock")):
            if not path.exists():
                with written_whole(path) as aside:
                    MlflowClient(f"sqlite:///{aside}").search_experiments(max_results=1)
    relocate(path)


def sqlite_file(uri: str) -> Path | None:
    """The absolute path of an SQLite store, None for any other."""
    name = uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(name).absolute() if uri.startswith("sqlite:///") and name not in ("", ":memory:") else None


def _local_artifacts(uri: str) -> str | None:
    path = sqlite_file(uri)  # a server or a shared data base has its own place for artifacts
    return None if path is None else path.with_name(ARTIFACTS).as_uri()


def _without_user(uri: str) -> str:
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _credentials() -> dict[str, str]:
    """User and password of `MLFLOW_TRACKING_URI` as the variables that MLflow reads: no message shows those."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    parts = urlsplit(uri) if is_server(uri) else urlsplit("")
    named = {"MLFLOW_TRACKING_USERNAME": parts.username, "MLFLOW_TRACKING_PASSWORD": parts.password}
    return {name: unquote(value) for name, value in named.items() if value}


def _reason(error: Exception) -> str:
    text = " ".join(str(error).partition("[SQL:")[0].split())
    return text if len(text) <= 300 else text[:300] + "…"
