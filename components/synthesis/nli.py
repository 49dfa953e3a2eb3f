"""SimCSE's NLI triplets: premises with an entailed and a contradicting hypothesis, from MNLI and SNLI."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv

from components.errors import DataError
from components.synthesis.tuples import SCHEMA

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
    named = [
        {COLUMNS[key]: text for key, text in row.items()} | {"intermediate": None, "provenance": path.name}
        for row in rows.values()
    ]
    if not named:
        raise DataError(f"{path} holds no triplet")
    return pa.Table.from_pylist(named, schema=SCHEMA)
