"""One run to a GPU, whoever starts it: a worker, a terminal, or a notebook of someone else on this machine."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SHARED = "CSEFLOW_SHARE_GPUS"  # set to 1, runs may share a GPU
log = logging.getLogger(__name__)


@contextmanager
def own_gpus(count: int = 1) -> Iterator[None]:
    """Hold the first `count` visible GPUs, waiting for whoever has them; nothing to hold where there is none."""
    import torch

    devices = range(min(count, torch.cuda.device_count()))
    with held([str(torch.cuda.get_device_properties(index).uuid) for index in devices]):
        yield


@contextmanager
def held(names: Sequence[str]) -> Iterator[None]:
    """Hold the machine's locks of these names; the kernel lets go of them when the process dies, however it does."""
    with ExitStack() as stack:
        for name in sorted(names) if os.environ.get(SHARED) != "1" else []:
            path = Path(tempfile.gettempdir()) / f"cseflow-{name}.lock"
            handle = stack.enter_context(os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+"))
            with suppress(PermissionError):
                path.chmod(0o666)  # for all users of the machine, whatever the umask
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.warning("another run has GPU %s: waiting for it (%s=1 would share it)", name, SHARED)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
