"""One run to a GPU, or to a machine's processor where there is no GPU, whoever starts it: a worker, a terminal, or a
notebook of someone else on this machine."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from components.processes import usable_cores

SHARED = "CSEFLOW_SHARE_DEVICES"  # set to 1, runs may share a device
THREADS = "OMP_NUM_THREADS"  # who sets it shares out the cores
log = logging.getLogger(__name__)


@contextmanager
def own_devices(count: int = 1) -> Iterator[None]:
    """Hold the first `count` visible GPUs, waiting for whoever has them.

    Without a GPU, the cores that this process may use: two trainings that each take all of them are many times slower
    than one after the other. Where the user has set OMP_NUM_THREADS, runs share them.
    """
    import torch

    if gpus := min(count, torch.cuda.device_count()):
        properties = [torch.cuda.get_device_properties(index) for index in range(gpus)]
        with held([str(each.uuid) for each in properties], "the GPU"):
            yield
    elif THREADS in os.environ and torch.get_num_threads() < usable_cores():
        yield
    else:
        with held(core_names(), "the processor"):
            yield


def core_names() -> list[str]:
    """A name for each core that this process may run on."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(usable_cores())
    return [f"core-{core}" for core in cores]


@contextmanager
def held(names: Sequence[str], what: str) -> Iterator[None]:
    """Hold the machine's locks of these names; the kernel lets go of them when the process dies, however it does.

    Args:
        names: of the locks, taken in one order by all, so that no two runs wait for each other.
        what: they stand for, as a message calls it.
    """
    said = False
    with ExitStack() as stack:
        for name in sorted(names) if os.environ.get(SHARED) != "1" else []:
            handle = stack.enter_context(_opened(Path(tempfile.gettempdir()) / f"cseflow-{name}.lock"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    log.warning("another run has %s: waiting for it (%s=1 would share it)", what, SHARED)
                said = True
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> IO[str]:
    """The lock file, made for all users of the machine if it isn't there."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    try:
        handle = os.open(path, flags)  # Linux refuses O_CREAT for another user's file in /tmp
    except FileNotFoundError:
        handle = os.open(path, flags | os.O_CREAT, 0o666)
        with suppress(PermissionError):
            path.chmod(0o666)  # whatever the umask
    return os.fdopen(handle, "r+")
