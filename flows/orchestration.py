"""Flows and tasks: Prefect's where the user has a Prefect server, plain functions where not.

A server is the user's by PREFECT_API_URL, a profile, prefect.toml or pyproject.toml, by Prefect's own rules. Without
one, nothing is started and Prefect is not even imported: what it adds (retries, logs, artifacts, queues) is for those
who look at a server, and a temporary server of its own takes seconds to start and has to be stopped again.
"""

import functools
import logging
import os
import tomllib
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from components.errors import UnreachableError
from components.processes import spare_loopback

SETTINGS = Path("prefect.toml")  # what Prefect goes by in this folder
MARK = "# Written by `cseflow up`, removed by `cseflow down`.\n"
RETRY_SECONDS = [10.0, 30.0, 90.0, 270.0]  # after each failure
_PROBE_SECONDS = 5.0
_NAMING = {"PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"}  # Prefect's other variables name no server
P = ParamSpec("P")
R = TypeVar("R", covariant=True)
log = logging.getLogger(__name__)


class Orchestrated(Generic[P, R]):
    """A function that is called as a Prefect flow or task where there is a server, as itself where there is none."""

    def __init__(self, function: Callable[P, R], kind: Literal["flow", "task"], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.fn = function
        self._kind, self._options = kind, options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it; what it raises is raised either way."""
        called: Callable[P, R] = self.prefect if tracked() else self.fn
        return called(*args, **kwargs)

    @cached_property
    def prefect(self) -> Any:
        """Prefect's `Flow` or `Task` of the function."""
        # Without a server of the user's, a flow on Dask starts a temporary one: on a busy machine that takes its time.
        os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        import prefect
        from prefect.cache_policies import NO_CACHE

        own = {"cache_policy": NO_CACHE} if self._kind == "task" else {}
        return getattr(prefect, self._kind)(**own, **self._options)(self.fn)


def flow(**options: Any) -> Callable[[Callable[P, R]], Orchestrated[P, R]]:
    """Decorate a flow; `options` are those of `prefect.flow`."""
    return lambda function: Orchestrated(function, "flow", options)


def task(**options: Any) -> Callable[[Callable[P, R]], Orchestrated[P, R]]:
    """Decorate a task; `options` are those of `prefect.task`."""
    return lambda function: Orchestrated(function, "task", options)


def network_task(name: str, **options: Any) -> Callable[[Callable[P, R]], Orchestrated[P, R]]:
    """Decorate a task that needs the network: a worker tries it again after 10, 30, 90 and 270 seconds.

    It must be one that can be done twice.
    """
    return task(
        name=name,
        retries=len(RETRY_SECONDS),
        retry_delay_seconds=lambda retries: RETRY_SECONDS[:retries],
        retry_jitter_factor=0.2,
        retry_condition_fn=retry_can_help,
        persist_result=False,
        **options,
    )


def retry_can_help(task: Any, task_run: Any, state: Any) -> bool:
    """For Prefect's `retry_condition_fn`: a worker tries again what the network spoilt, a terminal says it at once."""
    error = state.result(raise_on_failure=False)
    return deployed() and isinstance(error, UnreachableError | ConnectionError | TimeoutError)


def deployed() -> bool:
    """Whether a worker runs this, for a deployment, rather than someone in a terminal or a notebook."""
    if not tracked():
        return False
    from prefect import runtime

    return runtime.deployment.id is not None


@cache
def tracked() -> bool:
    """Whether flows run under the user's Prefect server.

    Where `cseflow up` named the server and it is gone, a warning says so, and they run without it.

    Raises:
        UnreachableError: the user has named a server, and none answers there.
    """
    url = api_url()
    if url is None or "PREFECT__FLOW_RUN_ID" in os.environ:  # a worker has just talked to it
        return url is not None
    why = unreachable(url)
    if why is None:
        return True
    if ours(url):
        log.warning(
            "the Prefect server that `make up` started at %s is gone: going on without it; `make up` starts it again, "
            "`cseflow down` forgets it",
            url,
        )
        return False
    raise UnreachableError(
        f"no Prefect server answers at {url} ({why}): start it, or take away the setting that names it "
        "(`prefect config view` shows which) to run without a server"
    )


def api_url() -> str | None:
    """The Prefect API that the user has named, by Prefect's own rules."""
    if not _names_anything():
        return None
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def ours(url: str) -> bool:
    """Whether it is `cseflow up` that named this server."""
    if "PREFECT_API_URL" in os.environ or not SETTINGS.is_file():
        return False
    text = SETTINGS.read_text(encoding="utf-8")
    return text.startswith(MARK) and tomllib.loads(text)["api"]["url"] == url


def unreachable(url: str) -> str | None:
    """Why no Prefect server answers at `url`, found out in seconds; None where one does."""
    spare_loopback()
    from prefect import get_client

    settings = {"timeout": _PROBE_SECONDS, "base_url": url}
    with get_client(sync_client=True, httpx_settings=settings) as client:
        error = client.api_healthcheck()
    return None if error is None else " ".join(str(error).split())[:200] or type(error).__name__


def run_logger() -> logging.Logger | logging.LoggerAdapter[Any]:
    """The log of the present Prefect run; without one, this module's."""
    if tracked():
        from prefect import get_run_logger
        from prefect.exceptions import MissingContextError

        try:
            return get_run_logger()
        except MissingContextError:
            pass
    return log


def _names_anything() -> bool:
    """Whether there is any setting of Prefect's at all: only then is it worth two seconds to import it and ask."""
    if _NAMING & os.environ.keys():
        return True
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    if any(path.exists() for path in (SETTINGS, Path(".env"), home / "profiles.toml")):
        return True
    try:
        return "prefect" in tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
    except FileNotFoundError:
        return False
    except (OSError, ValueError):  # Prefect itself says what is wrong with it
        return True
