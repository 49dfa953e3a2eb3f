"""Pull steps: what a worker does on its host before each run of a deployment. They go by the host's environment:

CSEFLOW_REPOSITORY  a git URL to clone for every run; without it, the run works in a folder that is there already:
CSEFLOW_DIRECTORY   that folder; by default the one that was deployed from
CSEFLOW_REVISION    branch or full commit of the clone; by default the repository's own branch
CSEFLOW_SHARED      where clones keep runs/, reports/ and DVC's cache between runs; by default ~/.cache/cseflow. Shared
                    by the hosts, it lets any of them go on with a run that another began
CSEFLOW_DVC_REMOTE  URL of a DVC remote, where .dvc/config names none
"""

import fcntl
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import UnreachableError
from components.secrets import without_secrets

KEPT = ("runs", "reports")
PULLS = 3
PAUSE = 5.0  # seconds after the first that failed
log = logging.getLogger("prefect.flow_runs.pull")


def code(directory: str) -> dict[str, str]:
    """Go to the host's own folder, or clone the repository into the run's; see above."""
    from prefect.deployments.steps import git_clone, set_working_directory

    repository = os.environ.get("CSEFLOW_REPOSITORY")
    if not repository:
        return set_working_directory(os.environ.get("CSEFLOW_DIRECTORY") or directory)
    revision = os.environ.get("CSEFLOW_REVISION")
    pinned = revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None
    which: dict[str, Any] = {"commit_sha": revision} if pinned else {"branch": revision}
    clone: Any = git_clone(repository, clone_directory_name="code", **which)
    shared = Path(os.environ.get("CSEFLOW_SHARED") or Path.home() / ".cache/cseflow").expanduser().absolute()
    os.chdir(clone["directory"])
    for name in KEPT:
        (shared / name).mkdir(parents=True, exist_ok=True)
        Path(name).symlink_to(shared / name)
    _dvc("cache", "dir", "--local", str(shared / "dvc"))
    _dvc("config", "--local", "cache.type", "reflink,symlink,copy")
    return {"directory": str(Path.cwd())}


def data() -> None:
    """Bring the data of dvc.lock from the DVC remote, where one is configured.

    A remote that doesn't answer is asked again, and then left alone: whether the data that are here will do, the run
    itself finds out.
    """
    url = os.environ.get("CSEFLOW_DVC_REMOTE")
    if url:
        _dvc("remote", "add", "--local", "--default", "--force", "cseflow", url)
    elif not any("remote" in path.read_text() for path in Path(".dvc").glob("config*")):
        return
    for attempt in range(PULLS):
        with alone_with_dvc():
            pulled = _dvc("pull")
        if pulled.returncode == 0:
            return
        log.warning("dvc pull failed: %s", without_secrets(pulled.stderr.strip()[-500:]), extra=_run())
        if attempt + 1 < PULLS:
            time.sleep(PAUSE * 3**attempt)


def data_status() -> str:
    """What `dvc data status --json` says of this folder.

    Raises:
        UnreachableError: DVC is busy or broken here.
    """
    with alone_with_dvc():
        asked = _dvc("data", "status", "--json")
    if asked.returncode:
        raise UnreachableError(f"dvc could not compare data/ with dvc.lock: {asked.stderr.strip()[-300:]}")
    return asked.stdout


@contextmanager
def alone_with_dvc() -> Iterator[None]:
    """Hold this folder's lock on DVC, which refuses a second process at once instead of making it wait."""
    Path(".state").mkdir(exist_ok=True)
    with Path(".state/dvc.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)


def _run() -> dict[str, str]:
    """Has a log record shown with the flow run that a worker prepares."""
    return {"flow_run_id": os.environ["PREFECT__FLOW_RUN_ID"]} if "PREFECT__FLOW_RUN_ID" in os.environ else {}
