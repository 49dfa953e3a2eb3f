"""`python -m components.augmentation`: the DVC stage `views`, every view of both splits, in data/views/<split>/<view>.

The views of a variant's own encoder lie in data/views/of-<source>/. What is up to date is kept, what params.yaml no
longer has is removed. With names of views, these alone are made, and nothing is removed.
"""

import argparse
import shutil
import sys
from pathlib import Path

from components.augmentation.shards import make_view, view_names
from components.config import Params, load_params
from components.errors import exit_on_error
from components.graph.plan import Demand
from components.paths import CORPUS, VIEWS, views_of

SPLITS = ("train", "heldout")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m components.augmentation", description="tokenise, and make views")
    parser.add_argument("names", nargs="*", metavar="VIEW", help="keys of augmentation.views; default: all")
    names = parser.parse_args().names
    params = load_params()
    demand = Demand.of(params)
    kept: set[Path] = set()
    for source, needed in demand.views.items():
        own = params.model_copy(update={"encoder": params.encoder.model_copy(update={"source": source})})
        for split in SPLITS:
            folder = views_of(source, params.encoder.source) / split
            wanted = names or view_names(params, source, needed, folder)
            kept |= {_make(name, split, own, folder) for name in wanted}
    if not names:
        _prune(VIEWS, kept)
    sys.stdout.write("next: dvc repro, which makes what is still missing\n")


def _make(name: str, split: str, params: Params, folder: Path) -> Path:
    summary = make_view(name, params, corpus=CORPUS / f"{split}.parquet", views=folder)
    mean = max(summary["mean_length"].values(), key=lambda value: value or 0)
    left_out = f", {summary['left_out']:,} of them too short for it and left null" if summary["left_out"] else ""
    sys.stdout.write(f"{folder / name}: {summary['rows']:,} sentences of {mean or 0:.1f} tokens on average{left_out}\n")
    return folder / name


def _prune(folder: Path, kept: set[Path]) -> None:
    """Remove whatever in `folder` is none of `kept` and holds none of them."""
    for path in folder.iterdir():
        if path in kept:
            continue
        if any(path in each.parents for each in kept):
            _prune(path, kept)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


if __name__ == "__main__":
    with exit_on_error():
        main()
