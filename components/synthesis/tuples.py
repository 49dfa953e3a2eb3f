"""The two patterns of tuples, the roles of their texts, and the one schema that all tuples have."""

from typing import NamedTuple

import pyarrow as pa

PATTERNS = ("nli", "sts")
ROLES = {
    "nli": ("positive", "negative"),
    "sts": ("positive", "intermediate", "negative"),
}  # of the texts besides the anchor

SCHEMA = pa.schema(
    [
        pa.field("anchor", pa.string(), nullable=False),
        pa.field("positive", pa.string(), nullable=False),  # nli: entailed by the anchor; sts: of the same meaning
        pa.field("intermediate", pa.string()),  # sts: the anchor without its details; nli: null
        pa.field("negative", pa.string(), nullable=False),  # contradicting the anchor, or (sts) about something else
        pa.field("provenance", pa.string(), nullable=False),  # a JSON object: who wrote it, asked by what
    ]
)

Texts = dict[str, str]  # by role


class Sentence(NamedTuple):
    """A sentence of the corpus; `id` is its row's there."""

    id: int
    text: str
