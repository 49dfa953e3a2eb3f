"""DVC stage `sts`: every STS task of params.yaml in one schema."""

import argparse
import logging
import sys

from components import paths
from components.config import load_params
from components.errors import exit_on_error
from components.evaluation.sts_data import write_sts


def main() -> None:
    """Write data/sts."""
    argparse.ArgumentParser(
        prog="python -m components.evaluation", description="every STS task of params.yaml to data/sts, in one schema"
    ).parse_args()
    counts = write_sts(load_params().evaluation)
    made = ", ".join(f"{task} {count:,}" for task, count in counts.items())
    sys.stdout.write(f"{paths.STS}: {made} pairs\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with exit_on_error():
        main()
