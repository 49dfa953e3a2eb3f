"""Embeddings of the training texts by a frozen encoder: taken once, kept by digest."""

from pathlib import Path

import numpy as np
import pytest

from components.errors import DataError
from components.training import references
from components.training.references import embedded

TEXTS = [f"A man saw {number} dogs." for number in range(7)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "CHUNK", 3)


@pytest.fixture(scope="module")
def folder(tiny_encoder: Path) -> Path:
    return tiny_encoder


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts are embedded in each call from now on."""
    calls, model = list[int](), references._model

    class Counted:
        def __init__(self, folder: Path) -> None:
            self._model = model(folder)

        def encode(self, texts: list[str], **options: object) -> object:
            calls.append(len(texts))
            return self._model.encode(texts, **options)

    monkeypatch.setattr(references, "_model", Counted)
    return calls


def test_embeddings_are_of_length_1_and_in_the_texts_order(folder: Path, tmp_path: Path) -> None:
    all_, some = embedded(TEXTS, folder, tmp_path), embedded(TEXTS[2:5], folder, tmp_path)
    found = all_.take(np.array([4, 2]))
    np.testing.assert_allclose(found, some.take(np.array([2, 0])), rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=0, atol=1e-5)


def test_a_killed_call_goes_on_at_its_piece_and_what_is_there_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch)
    embedded(TEXTS, folder, tmp_path)
    embedded(TEXTS, folder, tmp_path)
    assert calls == [3, 3, 1]
    max(tmp_path.glob("*/*.npy")).unlink()
    embedded(TEXTS, folder, tmp_path)
    assert calls == [3, 3, 1, 1]


def test_other_texts_are_embedded_anew(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    for texts in (TEXTS[:2], TEXTS[1:3], ["".join(TEXTS[:2])]):
        embedded(texts, folder, tmp_path)
    assert calls == [2, 2, 1]


@pytest.mark.parametrize(("name", "told"), [("none", "is missing; run"), ("empty", "can't be loaded as a reference")])
def test_a_reference_that_is_no_encoder_is_one_sentence(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=told):
        embedded(TEXTS, tmp_path / name, tmp_path / "cache")
