"""DVC stage `nli`: SimCSE's NLI triplets, premises with an entailed and a contradicting hypothesis (MNLI and SNLI)."""

import argparse
import json
import sys
from collections.abc import Mapping
from csv import reader
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from components.config import load_params
from components.config.sources import Source
from components.errors import DataError, exit_on_error
from components.files import folder_written_whole
from components.graph.plan import NLI_SOURCE, Demand
from components.paths import NLI, SOURCES
from components.synthesis.tuples import SCHEMA
from components.text import well_formed

# Gao et al. 2021, section 4: the file's columns, and what they are here.
COLUMNS = {"sent0": "anchor", "sent1": "positive", "hard_neg": "negative"}


def nli_triplets(path: Path) -> pa.Table:
    """The triplets of a CSV file with the columns sent0, sent1, hard_neg; each premise once, rows with a gap left out.

    A file of three columns without that header is taken to have them in this order.

    Raises:
        DataError: the file is broken, or not of that form; its text names the row, where there is one.
    """
    header = _header(path)
    reading = csv.ReadOptions(
        column_names=None if header else list(COLUMNS), use_threads=False
    )  # so that rows have numbers
    texts = csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    try:
        parsing = csv.ParseOptions(newlines_in_values=True)
        table = csv.read_csv(path, reading, parsing, texts).select(list(COLUMNS))
    except (pa.ArrowInvalid, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path} is not a CSV file with the columns {', '.join(COLUMNS)} ({reason}); a text with a comma, a "
            "quotation mark or a line break needs quotation marks around it"
        ) from None
    rows: dict[str, dict[str, str]] = {}
    for row in table.to_pylist():
        filled = {key: well_formed(text or "").strip() for key, text in row.items()}
        if all(filled.values()):
            rows[filled["sent0"]] = filled
    provenance = json.dumps({"file": path.name})
    named: list[dict[str, str | None]] = [
        {**{COLUMNS[key]: text for key, text in row.items()}, "intermediate": None, "provenance": provenance}
        for row in rows.values()
    ]
    if not named:
        raise DataError(f"{path} holds no triplet: none of its {table.num_rows:,} rows has all three texts")
    return pa.Table.from_pylist(named, schema=SCHEMA)


def _header(path: Path) -> bool:
    """Whether the first row names the columns.

    Raises:
        DataError: the file is not UTF-8, by its first such line, or its first row is neither header nor triplet.
    """
    first, number = "", 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                number += 1
                text = line.decode("utf-8-sig")
                first = first or text
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: not UTF-8 ({error.reason}, byte {error.start}); convert the file, for example by "
            "iconv -f latin1 -t utf-8"
        ) from None
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror})") from None
    cells = next(reader([first]), [])
    if set(COLUMNS) <= set(cells):
        return True
    if len(cells) == len(COLUMNS) and any(" " in cell.strip() for cell in cells):
        return False
    raise DataError(
        f"{path}, line 1: not a CSV file with the columns {', '.join(COLUMNS)}; its first row has {len(cells)} cells, "
        f"{', '.join(cells)[:120]!r}: name the columns so, with commas between them, and give each row a hard negative"
    )


def make_nli(sources: Mapping[str, Source], fetched: Path = SOURCES, into: Path = NLI) -> int:
    """Write `into` whole: train.parquet where `sources` has an entry `nli`, else nothing; returns how many triplets.

    Raises:
        DataError: as `nli_triplets`; what stood at `into` is left as it was.
    """
    with folder_written_whole(into) as aside:
        if NLI_SOURCE not in sources:
            return 0
        table = nli_triplets(_file_of(fetched / NLI_SOURCE))
        pq.write_table(table, aside / "train.parquet", compression="zstd")
        return int(table.num_rows)


def _file_of(folder: Path) -> Path:
    """The one file of a source, or its one CSV file.

    Raises:
        DataError: there is none, or more than one.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    tables = [path for path in files if path.suffix == ".csv"] if len(files) > 1 else files
    if len(tables) != 1:
        held = ", ".join(path.name for path in files[:5]) or "no file"
        raise DataError(
            f"{folder} holds {held}, and one CSV file is needed: run `dvc repro fetch`, and see "
            f"sources.{NLI_SOURCE} in params.yaml"
        )
    return tables[0]


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m components.synthesis.nli", description="NLI triplets of the source `nli` to data/nli"
    ).parse_args()
    params = load_params()
    count = make_nli(params.sources if Demand.of(params).nli else {})
    told = f"{count:,} triplets" if count else "empty, no variant of experiment.variants needs a source `nli`"
    sys.stdout.write(f"{NLI}: {told}\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
