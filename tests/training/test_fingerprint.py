"""What makes two runs the same, and what does not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import components
from components.training import fingerprint as module
from components.training.fingerprint import CODE, fingerprint

RUN: dict[str, Any] = {"settings": {"a": 1, "b": {"c": [1, 2], "d": 0.1}}, "data": {"x": "00", "y": "11"}, "seed": 0}


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the components, which the fingerprint reads instead."""
    original = Path(components.__file__).parent
    copied = shutil.copytree(original, tmp_path / "components", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(components, "__file__", str(copied / "__init__.py"))
    return copied


def test_the_same_run_has_the_same_fingerprint_wherever_its_code_lies(code: Path) -> None:
    first = fingerprint(**RUN)
    shutil.move(code, code.parent / "elsewhere")
    components.__file__ = str(code.parent / "elsewhere" / "__init__.py")
    assert fingerprint(**RUN) == first


def test_the_order_of_keys_does_not_count() -> None:
    turned: dict[str, Any] = {
        "settings": {"b": {"d": 0.1, "c": [1, 2]}, "a": 1},
        "data": {"y": "11", "x": "00"},
        "seed": 0,
    }
    assert fingerprint(**turned) == fingerprint(**RUN)


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"settings": {"a": 1, "b": {"c": [2, 1], "d": 0.1}}},
        {"data": {"x": "00", "y": "12"}},
        {"data": {"x": "00"}},
    ],
)
def test_seed_settings_and_data_count(changed: dict[str, Any]) -> None:
    assert fingerprint(**RUN | changed) != fingerprint(**RUN)


def test_the_libraries_that_compute_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(**RUN)
    monkeypatch.setattr(module, "version", lambda name: "0")
    assert fingerprint(**RUN) != before


@pytest.mark.parametrize("room", CODE)
def test_the_code_that_decides_the_numbers_counts(code: Path, room: str) -> None:
    before = fingerprint(**RUN)
    file = code / room if room.endswith(".py") else code / room / "__init__.py"
    file.write_text(file.read_text() + "\n")
    assert fingerprint(**RUN) != before


EDITS: dict[str, Callable[[Path], object]] = {
    "another room": lambda code: (code / "report" / "plots.py").write_text("\n"),
    "byte code": lambda code: (code / "training" / "plan.pyc").write_bytes(b"1"),
    "time": lambda code: (code / "training" / "plan.py").touch(),
}


@pytest.mark.parametrize("edit", EDITS)
def test_nothing_else_counts(code: Path, edit: str) -> None:
    before = fingerprint(**RUN)
    EDITS[edit](code)
    assert fingerprint(**RUN) == before
