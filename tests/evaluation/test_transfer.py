"""SentEval's transfer tasks, on small files in SentEval's layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.errors import DataError
from components.evaluation.transfer import evaluate_transfer, read_transfer

pytestmark = pytest.mark.slow

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def few_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.evaluation.transfer.FOLDS", 3)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(encoding: str = "utf-8", **files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding=encoding)
        return tmp_path

    return _write


def telling(sentences: list[str]) -> NDArray[np.float32]:
    """An encoder that hears "good" and the numbers of words and letters."""
    rows = [(sentence.count("good"), len(sentence.split()) / 10, len(sentence) / 100) for sentence in sentences]
    return np.array(rows, np.float32)


def lines(template: str, count: int = 30) -> str:
    return "".join(template.format(k) + "\n" for k in range(count))


def test_a_task_without_a_split_is_cross_validated(write: Write) -> None:
    folder = write(**{"MR__rt-polarity.pos": lines("good film {}"), "MR__rt-polarity.neg": lines("dull film {}")})
    assert evaluate_transfer(telling, {"MR": folder}, classifier="sklearn") == {"MR": 100.0, "transfer_avg": 100.0}


def test_the_folds_come_from_the_seed(write: Write) -> None:
    folder = write(**{"CR__custrev.pos": lines("thing {}"), "CR__custrev.neg": lines("item {}")})
    random = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    scores = [
        evaluate_transfer(lambda _: random, {"CR": folder}, classifier="sklearn", seed=seed)["CR"] for seed in (1, 1, 2)
    ]
    assert scores[0] == scores[1] != scores[2]


def test_empty_lines_count_as_rows(write: Write) -> None:
    folder = write(**{"CR__custrev.pos": lines("good thing {}") + "\n \n", "CR__custrev.neg": lines("item {}")})
    assert read_transfer("CR", folder).train.texts[0].count("") == 2


def test_too_few_examples_are_told(write: Write) -> None:
    folder = write(**{"MR__rt-polarity.pos": lines("good film {}", 5), "MR__rt-polarity.neg": lines("dull film {}", 5)})
    with pytest.raises(DataError, match="MR: 10 training examples of 2 classes are too few"):
        evaluate_transfer(telling, {"MR": folder})


def test_trec_is_latin_1_and_scored_on_its_test_part(write: Write) -> None:
    train = lines("DESC:manner good café {}") + lines("NUM:dist How far {} ?")
    folder = write(
        "latin-1", **{"TREC__train_5500.label": train, "TREC__TREC_10.label": "DESC:def good ?\nNUM:date x\n"}
    )
    data = read_transfer("TREC", folder)
    assert (data.train.labels[0], data.train.texts[0][0], data.dev) == ("DESC", "good café 0", None)
    assert evaluate_transfer(telling, {"TREC": folder}, classifier="sklearn")["TREC"] == 100


def test_sst2_has_a_dev_part(write: Write) -> None:
    part = lines("good {}\t1") + lines("bad {}\t0")
    folder = write(**{f"SST__binary__sentiment-{split}": part for split in ("train", "dev", "test")})
    assert read_transfer("SST2", folder).dev is not None
    assert evaluate_transfer(telling, {"SST2": folder}, classifier="sklearn")["SST2"] == 100


def test_by_default_it_is_the_classifier_of_the_papers(write: Write) -> None:
    part = lines("good {}\t1") + lines("bad {}\t0")
    folder = write(**{f"SST__binary__sentiment-{split}": part for split in ("train", "dev", "test")})

    def wide(sentences: list[str]) -> NDArray[np.float32]:
        noise = np.random.default_rng(0).normal(size=(len(sentences), 64))
        return (noise + 3 * telling(sentences)[:, :1]).astype(np.float32)

    scores = evaluate_transfer(wide, {"SST2": folder})
    assert scores == evaluate_transfer(wide, {"SST2": folder}, classifier="adam")
    assert scores["SST2"] > 80


def test_mrpc_classifies_pairs(write: Write) -> None:
    rows = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    rows += lines("1\t1\t2\tgood {0}\tgood {0}") + lines('0\t1\t2\tgood "{0}\tbad {0}')
    folder = write(**{f"MRPC__msr_paraphrase_{split}.txt": rows for split in ("train", "test")})
    assert evaluate_transfer(telling, {"MRPC": folder}, classifier="sklearn")["MRPC"] == 100


def test_a_malformed_line_is_named(write: Write) -> None:
    folder = write(**{"TREC__train_5500.label": "NUM:dist How far ?\nno label\n", "TREC__TREC_10.label": "NUM:x y\n"})
    with pytest.raises(DataError, match=r"train_5500\.label, line 2"):
        read_transfer("TREC", folder)


def test_a_missing_task_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data for SST2; SentEval keeps them in SST/binary/"):
        read_transfer("SST2", tmp_path)
