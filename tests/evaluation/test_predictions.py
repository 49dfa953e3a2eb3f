"""Predictions come back as they were kept."""

from pathlib import Path

import numpy as np
import pytest

from components.errors import DataError
from components.evaluation.predictions import load_predictions, save_predictions

GOLD = {"STSB": np.array([0.0, 2.5, 5.0]), "STS12": np.array([1.0])}
COSINES = {"STSB": np.array([0.1, 1 / 3, -0.9]), "STS12": np.array([0.5])}


def test_predictions_come_back(tmp_path: Path) -> None:
    save_predictions(tmp_path / "p.parquet", GOLD, COSINES)
    for kept, given in zip(load_predictions(tmp_path / "p.parquet"), (GOLD, COSINES), strict=True):
        assert {task: values.tolist() for task, values in kept.items()} == {t: v.tolist() for t, v in given.items()}


def test_gold_of_other_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same tasks and pairs"):
        save_predictions(tmp_path / "p.parquet", GOLD, COSINES | {"STS12": np.zeros(2)})


def test_a_broken_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match=r"p\.parquet can't be read"):
        load_predictions(tmp_path / "p.parquet")
