"""`python -m components.corpus`: the DVC stage; with `--sample N`, sentences to look at."""

import argparse
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from components.config import load_params
from components.corpus.build import build
from components.corpus.shards import files_of
from components.corpus.small import shortfalls
from components.errors import DataError, exit_on_error
from components.paths import CORPUS, SOURCES

SMALL = 20_000  # training sentences below which all that later stages ask for is compared


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m components.corpus", description="dump or text to clean sentences")
    parser.add_argument(
        "--sample", type=_positive, metavar="N", help="make nothing; print N training sentences drawn by the seed"
    )
    sample = parser.parse_args().sample
    params = load_params()
    if sample:
        _print_sample(sample, params.seed)
        return
    folder = SOURCES / "corpus"
    files = files_of(folder)
    summary = build(folder if len(files) > 1 else files[0], CORPUS, params.corpus, params.seed)
    counts = summary["sentences"]
    sys.stdout.write(
        f"{CORPUS}: {counts['train']} training and {counts['heldout']} held-out sentences"
        f" from {summary['pages']['kept']} pages\n"
        "look at some of them: python -m components.corpus --sample 200\n"
    )
    if counts["train"] < SMALL and (short := list(shortfalls(params, _train()["text"].to_pylist()))):
        sys.stderr.write(f"warning: the corpus is small; what later stages will refuse: {'; '.join(short)}\n")


def _train() -> pa.Table:
    path = CORPUS / "train.parquet"
    if not path.exists():
        raise DataError(f"{path} is missing; run `dvc repro corpus`")
    return pq.read_table(path)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of sentences, 1 or more")
    return int(text)


def _print_sample(size: int, seed: int) -> None:
    rows = _train()
    for place in sorted(random.Random(seed).sample(range(len(rows)), min(size, len(rows)))):
        sys.stdout.write(f"{rows['id'][place]}\t{rows['text'][place]}\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
