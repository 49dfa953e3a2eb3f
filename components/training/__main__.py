"""`torchrun … -m components.training FOLDER`: one of the processes that train the run of FOLDER/job.json.

`cseflow train` starts them, and reads their metrics, wherever training.processes or training.nodes ask for several.
"""

import argparse
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from components.errors import exit_on_error
from components.processes import end_with_parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m components.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the run")
    folder: Path = parser.parse_args().folder
    end_with_parent()
    import torch.distributed as dist  # heavy, as the next two are

    from components.training.job import Failure, Job, MetricsFile
    from components.training.run import train_run

    rank = int(os.environ.get("RANK", "0"))
    try:
        job = Job.read(folder)
        with (folder / ".training.lock").open("w") as lock:
            if rank == 0:  # an earlier first process may still be about to end; it must not write any more
                fcntl.flock(lock, fcntl.LOCK_EX)
            record = MetricsFile(folder) if rank == 0 else _nowhere
            train_run(job.spec, job.layout, folder, record)
    except BaseException as error:
        Failure.of(rank, error).note(folder)
        raise
    if dist.is_initialized():
        dist.destroy_process_group()


def _nowhere(values: Mapping[str, float], step: int) -> None:
    """The record of a process that is not the first."""


if __name__ == "__main__":
    with exit_on_error():
        main()
