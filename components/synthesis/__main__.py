"""`python -m components.synthesis`: the tuples, into data/tuples."""

import sys

import pyarrow.parquet as pq

from components.errors import exit_on_error
from components.files import written_whole
from components.paths import TUPLES
from components.synthesis.tuples import PATTERNS, handwritten


def main() -> None:
    for pattern in PATTERNS:
        table = handwritten(pattern)
        path = TUPLES / f"{pattern}.parquet"
        with written_whole(path) as aside:
            pq.write_table(table, aside, compression="zstd")
        sys.stdout.write(f"{path}: {table.num_rows:,} tuples, written by hand\n")
    sys.stdout.write("next: dvc repro, which makes what is still missing\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
