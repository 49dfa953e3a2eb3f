"""What an encoder said of every STS pair, kept beside the gold scores: all that a later comparison needs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.errors import DataError
from components.files import written_whole

Scores = dict[str, NDArray[np.float64]]  # task → (pairs,)


def save_predictions(
    path: Path, gold: Mapping[str, NDArray[np.float64]], cosines: Mapping[str, NDArray[np.float64]]
) -> None:
    """Write one Parquet table: task, pair (from 0 in each task), gold, cosine.

    Raises:
        ValueError: `gold` and `cosines` differ in tasks or in numbers of pairs.
    """
    if {task: len(values) for task, values in gold.items()} != {task: len(values) for task, values in cosines.items()}:
        raise ValueError("gold and cosines must be of the same tasks and pairs")
    parts = [
        pa.table(
            {
                "task": pa.array([task] * len(scores), pa.string()).dictionary_encode(),
                "pair": pa.array(range(len(scores)), pa.int32()),
                "gold": pa.array(scores, pa.float64()),
                "cosine": pa.array(cosines[task], pa.float64()),
            }
        )
        for task, scores in gold.items()
    ]
    with written_whole(path) as aside:
        pq.write_table(pa.concat_tables(parts).unify_dictionaries(), aside)


def load_predictions(path: Path) -> tuple[Scores, Scores]:
    """Gold scores and cosines as `save_predictions` was given them.

    Raises:
        DataError: the file is missing or broken.
    """
    try:
        table = pq.read_table(path, columns=["task", "gold", "cosine"])
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} can't be read as predictions: {error}") from None
    tasks = np.asarray(table["task"].to_pylist())
    gold, cosines = (table[name].to_numpy() for name in ("gold", "cosine"))
    names = list(dict.fromkeys(tasks.tolist()))
    return {name: gold[tasks == name] for name in names}, {name: cosines[tasks == name] for name in names}
