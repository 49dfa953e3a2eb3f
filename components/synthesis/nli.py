"""DVC stage `nli`: SimCSE's NLI triplets, premises with an entailed and a contradicting hypothesis (MNLI and SNLI)."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from components.config import load_params
from components.config.sources import Source
from components.errors import DataError, exit_on_error
from components.files import folder_written_whole
from components.paths import NLI, SOURCES
from components.synthesis.tuples import SCHEMA

SOURCE = "nli"  # entry of `sources`; a profile need not have it
# Gao et al. 2021, section 4: the file's columns, and what they are here.
COLUMNS = {"sent0": "anchor", "sent1": "positive", "hard_neg": "negative"}


def nli_triplets(path: Path) -> pa.Table:
    """The triplets of a CSV file with the columns sent0, sent1, hard_neg; each premise once, rows with a gap left out.

    Raises:
        DataError: the file is broken, or not of that form.
    """
    try:
        table = csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True)).select(list(COLUMNS))
    except (pa.ArrowInvalid, KeyError) as error:
        raise DataError(f"{path} is no CSV file with the columns {', '.join(COLUMNS)}: {error}") from None
    rows = {
        row["sent0"]: row for row in table.to_pylist() if all(isinstance(text, str) and text for text in row.values())
    }
    provenance = json.dumps({"file": path.name})
    named = [
        {COLUMNS[key]: text for key, text in row.items()} | {"intermediate": None, "provenance": provenance}
        for row in rows.values()
    ]
    if not named:
        raise DataError(f"{path} holds no triplet")
    return pa.Table.from_pylist(named, schema=SCHEMA)


def make_nli(sources: Mapping[str, Source], fetched: Path = SOURCES, into: Path = NLI) -> int:
    """Write `into` whole: train.parquet where `sources` has an entry `nli`, else nothing; returns how many triplets.

    Raises:
        DataError: as `nli_triplets`; what stood at `into` is left as it was.
    """
    with folder_written_whole(into) as aside:
        if SOURCE not in sources:
            return 0
        table = nli_triplets(next((fetched / SOURCE).iterdir()))
        pq.write_table(table, aside / "train.parquet", compression="zstd")
        return int(table.num_rows)


def main() -> None:
    count = make_nli(load_params().sources)
    sys.stdout.write(f"{NLI}: {count:,} triplets\n" if count else f"{NLI}: empty, params.yaml has no source `nli`\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
