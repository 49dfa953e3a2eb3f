"""`python -m components.augmentation <view>`: one view of both splits, into data/views/<split>/<view>."""

import argparse
import sys

from components.augmentation.shards import make_view
from components.config import load_params
from components.errors import exit_on_error
from components.paths import CORPUS, VIEWS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m components.augmentation", description=__doc__)
    parser.add_argument("view", help="a key of augmentation.views in params.yaml")
    name = parser.parse_args().view
    params = load_params()
    for split in ("train", "heldout"):
        summary = make_view(name, params, corpus=CORPUS / f"{split}.parquet", views=VIEWS / split)
        mean = max(summary["mean_length"].values(), key=lambda value: value or 0)
        left_out = f", {summary['left_out']:,} of them too short for it and left null" if summary["left_out"] else ""
        sys.stdout.write(
            f"{VIEWS / split / name}: {summary['rows']:,} sentences of {mean or 0:.1f} tokens on average{left_out}\n"
        )
    sys.stdout.write("next: dvc repro, which makes what is still missing\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
