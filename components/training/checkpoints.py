"""Checkpoints that a kill at any moment leaves usable: only those marked complete count."""

import json
import shutil
from pathlib import Path
from typing import Any

from components.files import written_whole

COMPLETE = "complete"  # an empty file, written last


def complete_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    found = (path for path in folder.glob("checkpoint-*") if (path / COMPLETE).exists())
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def mark_complete(checkpoint: Path) -> None:
    """To be called when everything of `checkpoint` is on disk."""
    with written_whole(checkpoint / COMPLETE):
        pass


def discard(folder: Path, keep: list[Path]) -> None:
    """Remove the checkpoints that are not in `keep`, half-written ones included."""
    kept = {path.resolve() for path in keep}
    for path in folder.glob("checkpoint-*"):
        if path.resolve() not in kept:
            (path / COMPLETE).unlink(missing_ok=True)
            shutil.rmtree(path)


def trainer_state(checkpoint: Path) -> dict[str, Any]:
    """What transformers' Trainer wrote of its state."""
    state: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_text())
    return state
