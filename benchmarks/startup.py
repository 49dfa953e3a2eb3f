"""Start-up: the wall clock of `cseflow --help`, a process of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.harness import ROUNDS, Floor, Row, Sample, bounded, interleaved, main

# The interpreter and what argparse needs: less than this no Python command takes.
BARE = [sys.executable, "-c", "import argparse"]
HELP = [sys.executable, "-c", "from flows.cli import main; main(['--help'])"]


def measure(quick: bool) -> Iterator[Row]:
    def run(command: list[str]) -> Sample:
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return Sample(1, time.perf_counter() - start)

    samples = interleaved(
        {"cseflow": lambda: run(HELP), "python": lambda: run(BARE)}, rounds=3 if quick else 4 * ROUNDS, warm_up=2
    )
    yield bounded(
        "start-up: cseflow --help",
        [sample.seconds for sample in samples["cseflow"]],
        unit="s",
        at_most=0.5,
        floor=Floor("python -c 'import argparse'", min(sample.seconds for sample in samples["python"])),
    )


if __name__ == "__main__":
    main(__doc__, measure)
