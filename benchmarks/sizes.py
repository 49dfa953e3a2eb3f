"""Data of any size, and what a piece of work on them costs in a process of its own: seconds and memory."""

import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.augmentation.shards import CHUNK, SUMMARY
from components.errors import CseflowError
from components.processes import usable_cores

KIB = 1024


class Cost(NamedTuple):
    """`memory`: the process's peak of resident bytes, and of its children's, each counted as the largest."""

    seconds: float
    memory: int
    result: Any


def cost_apart(work: Callable[..., Any], *arguments: Any) -> Cost:
    """Call `work` in a fresh process; `seconds` are its own if it returns a float, else those of the whole call."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=_call, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    try:
        cost: Cost = mine.recv()
    except EOFError:
        raise CseflowError(f"{work.__name__} failed in its process; what it said stands above") from None
    finally:
        process.join()
    return cost


def _call(connection: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    start = time.perf_counter()
    result = work(*arguments)
    seconds = result if isinstance(result, float) else time.perf_counter() - start
    own, child = (resource.getrusage(who).ru_maxrss * KIB for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    connection.send(Cost(seconds, own + child * (usable_cores() if child else 0), result))


def write_identity(folder: Path, sentences: int, *, vocabulary: int = 20_000, special: int = 1000) -> None:
    """Made-up sentences of 8 to 30 tokens in `folder`, as the stage `tokens` writes a view of kind identity."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, start in enumerate(range(0, sentences, CHUNK)):
        rows = min(CHUNK, sentences - start)
        lengths = generator.integers(8, 31, rows)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        ids = generator.integers(special, special + vocabulary, offsets[-1]).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids))
        table = pa.table({"id": pa.array(np.arange(start, start + rows)), "identity": lists})
        pq.write_table(table, folder / f"part-{part:05}.parquet", compression="zstd")
    summary = {
        "rows": sentences,
        "left_out": 0,
        "mean_length": {"identity": 19.0},
        "pad_token_id": 0,
        "mask_token_id": 103,
    }
    (folder / SUMMARY).write_text(json.dumps(summary))
