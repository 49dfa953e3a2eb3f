"""Hard negatives of a set, by a frozen encoder in a range of ranks."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from components.config.sets import TupleSet
from components.errors import DataError
from components.synthesis import mining
from components.synthesis.sets import Made, read_set
from tests.project import sentences

ANCHORS, POSITIVES = sentences(12, 1), sentences(12, 2)


@pytest.fixture
def fetched(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources: pairs, and the encoder that mines."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs").mkdir()
    lines = [f"{anchor}\t{positive}\n" for anchor, positive in zip(ANCHORS, POSITIVES, strict=True)]
    (tmp_path / "pairs/pairs.tsv").write_text("".join(lines))
    shutil.copytree(tiny_encoder, tmp_path / "encoder")
    return tmp_path


def made(fetched: Path, **mine: Any) -> Made:
    entry = {"source": "pairs", "columns": {"anchor": 1, "positive": 2}, "mine": {"encoder": "encoder", **mine}}
    return read_set("mine", TupleSet.model_validate(entry), fetched)


def ranked(fetched: Path, anchor: str, positive: str) -> list[str]:
    """The positives of others, from the nearest."""
    model = SentenceTransformer(str(fetched / "encoder"))
    vectors: Sequence[Any] = model.encode([anchor, *POSITIVES], normalize_embeddings=True)
    order = np.argsort(-(np.asarray(vectors[1:]) @ np.asarray(vectors[0])), kind="stable")
    return [POSITIVES[place] for place in order if POSITIVES[place] != positive]


def test_negatives_are_those_of_the_range_of_ranks(fetched: Path) -> None:
    table = made(fetched, ranks=[2, 6], count=3).table
    assert table.column_names[-3:] == ["negative_1", "negative_2", "negative_3"]
    for row in table.to_pylist():
        expected = ranked(fetched, row["anchor"], row["positive"])[2:5]
        assert [row[f"negative_{k}"] for k in (1, 2, 3)] == expected


def test_what_was_mined_of_equal_texts_is_kept(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(fetched, sample="random", ranks=[0, 8]).table
    monkeypatch.setattr(mining, "_mined", lambda *given: pytest.fail("mined again"))
    assert made(fetched, sample="random", ranks=[0, 8]).table == first


def test_random_negatives_are_those_of_the_seed(fetched: Path) -> None:
    first = made(fetched, sample="random", ranks=[0, 8]).table
    shutil.rmtree(mining.CACHE)
    assert made(fetched, sample="random", ranks=[0, 8]).table == first


def test_rows_with_too_few_candidates_are_left_out_and_counted(fetched: Path) -> None:
    with pytest.raises(DataError, match=r"nothing is left .*12 with too few mined negatives"):
        made(fetched, maximum=-1.0)


def test_a_missing_encoder_is_one_sentence(fetched: Path) -> None:
    shutil.rmtree(fetched / "encoder")
    with pytest.raises(DataError, match="encoder is missing; run `dvc repro fetch`"):
        made(fetched)
