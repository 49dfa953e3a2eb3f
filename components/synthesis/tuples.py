"""The tuples written by hand, and the one schema that all tuples have, wherever they come from."""

import json
from importlib.resources import files

import pyarrow as pa

from components.errors import DataError

PATTERNS = ("nli", "sts")

SCHEMA = pa.schema(
    [
        pa.field("anchor", pa.string(), nullable=False),
        pa.field("positive", pa.string(), nullable=False),  # nli: entailed by the anchor; sts: of the same meaning
        pa.field("intermediate", pa.string()),  # sts: the anchor without its details; nli: null
        pa.field("negative", pa.string(), nullable=False),  # contradicting the anchor, or (sts) about something else
        pa.field("provenance", pa.string(), nullable=False),
    ]
)


def handwritten(pattern: str) -> pa.Table:
    """The tuples of `pattern`, "nli" or "sts", written for this project; provenance is "handwritten".

    Raises:
        DataError: a line of the file is no tuple of the pattern.
    """
    keys = {"anchor", "positive", "negative"} | ({"intermediate"} if pattern == "sts" else set())
    rows = []
    source = files(__package__) / "handwritten" / f"{pattern}.jsonl"
    for number, line in enumerate(source.read_text("utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict) or row.keys() != keys or not all(isinstance(text, str) for text in row.values()):
            raise DataError(
                f"{source}, line {number}: write a JSON object of texts with keys {', '.join(sorted(keys))}"
            )
        rows.append(row | {"provenance": "handwritten"})
    return pa.Table.from_pylist(rows, schema=SCHEMA)
