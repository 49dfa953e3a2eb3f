"""Training in as many processes as the settings ask for: in this one, or by torchrun on one node or several."""

import gc
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.config.training import Layout
from components.errors import ConfigError, CseflowError
from components.processes import end_with_parent, usable_cores
from components.training.job import Failure, Job, MetricsReader
from components.training.run import SUMMARY, TrainingSummary, train_run
from components.training.trainer import Record

log = logging.getLogger(__name__)
POLL_SECONDS = 0.5
MEETING_SECONDS = 1800  # for the other nodes to come
ENDING_SECONDS = 60  # for torchrun to end its processes


def train_in_processes(job: Job, folder: Path, record: Record) -> TrainingSummary:
    """`components.training.run.train_run`, shared out among the processes of the job's layout.

    The first of them writes checkpoints, encoder and metrics into `folder`, which all nodes must see; `record` is given
    the metrics here. Processes end when this one does, and with it when it is interrupted.

    Raises:
        ConfigError: more processes than this machine has GPUs.
        CseflowError: a process failed, with the sentence of the one that failed first.
    """
    finished = folder / SUMMARY
    reader = MetricsReader(folder, record)
    reader.pass_on()  # what processes recorded and a killed call of this did not pass on
    if job.processes == 1 or not job.spec.variant.objective or finished.is_file():
        summary = train_run(job.spec, job.layout, folder, record)
        # Trainer, callbacks and model refer to each other: left to itself, Python keeps model and optimiser of several
        # runs before it looks for such cycles.
        gc.collect()
        return summary
    folder.mkdir(parents=True, exist_ok=True)
    job.write(folder)
    if job.layout.nodes > 1:
        log.warning(
            "waiting for %d more nodes: run there, in this folder: cseflow join %s", job.layout.nodes - 1, folder
        )
    with _torchrun(job.layout, folder) as torchrun:
        while torchrun.poll() is None:
            reader.pass_on()
            try:
                torchrun.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
    reader.pass_on()
    if torchrun.returncode or not finished.is_file():
        raise CseflowError(_why(folder, job.processes))
    return TrainingSummary(**json.loads(finished.read_text()))


def join(folder: Path) -> None:
    """Lend this node to the training that `cseflow train` began on another, in the same folder.

    Raises:
        CseflowError: a process failed, here or there.
    """
    job = Job.read(folder)
    with _torchrun(job.layout, folder) as torchrun:
        status = torchrun.wait()
    if status:
        raise CseflowError(_why(folder, job.processes))


def _why(folder: Path, processes: int) -> str:
    failure = Failure.cause(folder)
    if failure is None:
        return f"torchrun ended before its {processes} training processes had finished; run it again"
    if failure.foreseen:
        return failure.text
    return f"training process {failure.rank} of {processes} failed: {failure.text}; its traceback stands above"


@contextmanager
def _torchrun(layout: Layout, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """torchrun with this node's share of the processes; ended with the block."""
    import torch

    gpus = torch.cuda.device_count()
    if gpus and layout.processes > gpus:
        raise ConfigError(f"training.processes: {layout.processes} processes want a GPU each, and {gpus} are here")
    meeting = layout.rendezvous or "127.0.0.1:0"
    command = [
        *(sys.executable, "-m", "components.training.launch"),
        f"--nnodes={layout.nodes}",
        f"--nproc-per-node={layout.processes}",
        *("--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}", f"--rdzv-id={folder.name}"),
        f"--rdzv-conf=join_timeout={MEETING_SECONDS}",
        *("-m", "components.training", str(folder)),
    ]
    threads = str(max(1, usable_cores() // layout.processes))
    # DistributedDataParallel warns where every parameter is in use, as most encoders have it.
    process = subprocess.Popen(command, env={"OMP_NUM_THREADS": threads, "TORCH_CPP_LOG_LEVEL": "ERROR", **os.environ})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    """torchrun, without its account of a failure: the processes themselves give a better one, but where they can't."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    end_with_parent()
    try:
        run(parse_args(sys.argv[1:]))
    except ChildFailedError as error:
        for rank, failed in error.failures.items():
            if failed.exitcode == -signal.SIGKILL:
                killed = CseflowError(
                    f"training process {rank} was killed, most often for want of memory; run it again"
                )
                Failure.of(rank, killed).note(Path(sys.argv[-1]))
        raise SystemExit(1) from None
    except SignalException:
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
