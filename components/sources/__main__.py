"""`python -m components.sources [NAME …]`: the DVC stage `fetch`."""

import argparse
import os
import re
import shutil
import sys

from components.config import load_params
from components.errors import ConfigError, DataError, UnreachableError, exit_on_error
from components.files import folder_written_whole
from components.graph.plan import Demand
from components.graph.receipts import FETCHED, receipt_file, receipt_text
from components.paths import SOURCES
from components.sources.fetch import record_of, resolve


def main() -> None:
    """Without names also remove what params.yaml no longer names, and write the receipts."""
    parser = argparse.ArgumentParser(
        prog="python -m components.sources", description="download every source to data/sources, verified"
    )
    wanted = "entries of `sources` in params.yaml; default: those that experiment.variants need"
    parser.add_argument("names", nargs="*", metavar="NAME", help=wanted)
    names = parser.parse_args().names
    params = load_params()
    demand = Demand.of(params)
    sources = params.sources
    for name in [*names, *sources]:
        if name not in sources:
            raise ConfigError(f"params.yaml has no source {name!r}; it has {', '.join(sources)}")
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
            raise ConfigError(f"sources.{name}: a source's name is that of a folder; use a-z, 0-9, - and _")
    for name in names or demand.sources(params):
        try:
            path = resolve(sources[name], SOURCES / name)
        except (DataError, UnreachableError) as error:
            raise type(error)(f"sources.{name}: {error}") from None
        sys.stdout.write(f"{name}: {path} is verified\n")
        sys.stdout.flush()
    if not names:
        kept = {path.name for name in sources for path in (SOURCES / name, record_of(SOURCES / name))}
        for stray in [path for path in SOURCES.iterdir() if path.name not in kept]:
            shutil.rmtree(stray) if stray.is_dir() else stray.unlink()
        with folder_written_whole(FETCHED) as aside:
            for reader, read in demand.receipts(params).items():
                (aside / receipt_file(reader).name).write_text(receipt_text(read), encoding="utf-8")


if __name__ == "__main__":
    with exit_on_error(unreachable=os.EX_TEMPFAIL):  # the flow `data` tries again
        main()
