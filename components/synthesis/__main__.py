"""`python -m components.synthesis`: the tuples, into data/tuples."""

import sys

import pyarrow.parquet as pq

from components.config import load_params
from components.errors import exit_on_error
from components.files import written_whole
from components.paths import SOURCES, TUPLES
from components.synthesis.nli import nli_triplets
from components.synthesis.tuples import PATTERNS, handwritten

NLI = "nli"  # an entry of `sources` with SimCSE's NLI triplets takes the place of those written by hand


def main() -> None:
    sources = load_params().sources
    for pattern in PATTERNS:
        if pattern == NLI and NLI in sources:
            table, origin = nli_triplets(next((SOURCES / NLI).iterdir())), sources[NLI].uri
        else:
            table, origin = handwritten(pattern), "written by hand"
        path = TUPLES / f"{pattern}.parquet"
        with written_whole(path) as aside:
            pq.write_table(table, aside, compression="zstd")
        sys.stdout.write(f"{path}: {table.num_rows:,} tuples, {origin}\n")
    sys.stdout.write("next: dvc repro, which makes what is still missing\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
