"""DVC stage `sets`: pairs and tuples that others made, from their own files and columns into one schema."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from components.config import Params, load_params
from components.config.sets import Mining, TupleSet
from components.errors import DataError, exit_on_error
from components.files import folder_written_whole
from components.graph.plan import Demand
from components.paths import SETS, SOURCES, STS
from components.synthesis.filters import known_sentences
from components.synthesis.mining import mine
from components.synthesis.tuples import SCHEMA
from components.tables import table_rows
from components.text import normal

GAP, SCORE, LEAK, COPY, DUPLICATE = (
    "without a text for each role",
    "below the least score",
    "with a sentence of an evaluation task",
    "with a text twice",
    "with an anchor that a later row has",
)
TOO_FEW = "with too few mined negatives"
NONE: AbstractSet[str] = frozenset()
Rows = dict[object, dict[str, str]]  # role → text, by what tells the rows apart


class Made(NamedTuple):
    """A set in the columns of all tuples and those of its own roles, and how many rows were left out for what."""

    table: pa.Table
    left_out: Counter[str]

    def __str__(self) -> str:
        told = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
        return f"{self.table.num_rows:,} rows" + (f" (left out: {told})" if told else "")


def read_set(
    name: str, tuples: TupleSet, fetched: Path = SOURCES, evaluation: AbstractSet[str] = NONE, *, seed: int = 0
) -> Made:
    """The rows of a set, in its file's order; columns of all tuples that it lacks are null.

    Args:
        fetched: the folder of all sources.
        evaluation: sentences of the evaluation tasks, as `components.text.normal` has them.
        seed: of negatives that are mined at random.

    Raises:
        DataError: the file is missing or broken, lacks a column, or gives no row; its text names the line where there
            is one.
    """
    key = f"sets.{name}"
    kept: Rows = {}
    left_out = Counter[str]()
    for number, record in enumerate(table_rows(key, tuples, fetched / tuples.source)):
        texts = {role: record.text(place) for role, place in tuples.columns.roles.items()}
        if not all(texts.values()):
            left_out[GAP] += 1
            continue
        if tuples.score is not None:
            score = record.number_in(tuples.score.column)
            if score is None or score < tuples.score.minimum:
                left_out[SCORE] += 1
                continue
        plain = [normal(text) for text in texts.values()]
        if tuples.leaks == "drop" and not evaluation.isdisjoint(plain):
            left_out[LEAK] += 1
            continue
        if tuples.unique and len(set(plain)) < len(plain):
            left_out[COPY] += 1
            continue
        which = plain[0] if tuples.unique else number
        left_out[DUPLICATE] += which in kept
        provenance = json.dumps({"source": tuples.source, "file": record.path.name})
        kept[which] = {**texts, "provenance": provenance}
    if tuples.mine is not None and kept:
        kept = _with_mined(kept, tuples.mine, fetched / tuples.mine.encoder, left_out, seed)
    made = Made(pa.Table.from_pylist(list(kept.values()), schema=schema_of(tuples)), +left_out)
    if not kept:
        raise DataError(f"{fetched / tuples.source}: nothing is left for a set, {made}; see {key} in params.yaml")
    return made


def _with_mined(rows: Rows, mining: Mining, encoder: Path, left_out: Counter[str], seed: int) -> Rows:
    """The rows that have enough negatives, with them; none of which is another text of its row."""
    pairs = [(row["anchor"], row["positive"]) for row in rows.values()]
    mined = mine(pairs, mining, encoder, seed=seed)
    found: Rows = {}
    for (which, row), pair in zip(rows.items(), pairs, strict=True):
        negatives = mined.get(pair)
        if negatives is None:
            left_out[TOO_FEW] += 1
            continue
        texts = [normal(text) for text in (*pair, *negatives)]
        if len(set(texts)) < len(texts):
            left_out[COPY] += 1
            continue
        found[which] = row | {f"negative_{k}": text for k, text in enumerate(negatives, 1)}
    return found


def schema_of(tuples: TupleSet) -> pa.Schema:
    """The columns of all tuples, then those that this set alone has."""
    columns = [field.with_nullable(field.name not in {*tuples.roles, "provenance"}) for field in SCHEMA]
    own = [role for role in tuples.roles if role not in SCHEMA.names]
    return pa.schema([*columns, *(pa.field(role, pa.string(), nullable=False) for role in own)])


def make_sets(
    sets: Mapping[str, TupleSet],
    fetched: Path = SOURCES,
    into: Path = SETS,
    evaluation: AbstractSet[str] = NONE,
    *,
    seed: int = 0,
) -> dict[str, Made]:
    """Write the folder `into` whole, a Parquet file for each set.

    Raises:
        DataError: as `read_set`; what stood at `into` is left as it was.
    """
    made = {}
    with folder_written_whole(into) as aside:
        for name, tuples in sets.items():
            made[name] = read_set(name, tuples, fetched, evaluation, seed=seed)
            pq.write_table(made[name].table, aside / f"{name}.parquet", compression="zstd")
    return made


def _evaluation(params: Params) -> AbstractSet[str]:
    """The sentences of all evaluation tasks, in plain form."""
    from components.evaluation.transfer import transfer_sentences

    tasks = {task: SOURCES / source for task, source in Demand.of(params).held_against(params).items()}
    return known_sentences(STS) | transfer_sentences(tasks)


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m components.synthesis.sets",
        description="the sets of params.yaml that experiment.variants train on, to data/sets",
    ).parse_args()
    params = load_params()
    sets = {name: params.sets[name] for name in Demand.of(params).sets}
    made = make_sets(sets, evaluation=_evaluation(params) if sets else NONE, seed=params.seed)
    for name, each in made.items():
        sys.stdout.write(f"{SETS / name}.parquet: {each}\n")
    if not made:
        sys.stdout.write(f"{SETS}: empty, no variant of experiment.variants trains on a set\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
