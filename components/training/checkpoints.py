"""Checkpoints that a kill, a power loss or a broken-off copy at any moment leaves usable: the unbroken ones count."""

import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from components.files import file_digest, synced, written_whole

log = logging.getLogger(__name__)
COMPLETE = "complete"  # JSON, written last: SHA-256 of every other file, by name
WEIGHTS = "model.safetensors"
STATE = "trainer_state.json"


def complete_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a run that a training can go on from, oldest first; a warning for each that is broken.

    One is usable if its files are those that were marked complete and so are those of the best checkpoint by then,
    whose weights the training may end with.
    """
    whole = {}
    for path in marked_checkpoints(folder):
        fault = _fault(path)
        if fault is None:
            whole[path.name] = path
        else:
            log.warning("%s is broken (%s) and is left out; training goes on from the one before it", path, fault)
    return [path for path in whole.values() if best_checkpoint(path).name in whole]


def marked_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a run that were written to their end, oldest first; what became of them since is not looked at."""
    return sorted((path for path in folder.glob("checkpoint-*") if (path / COMPLETE).is_file()), key=_step)


def best_checkpoint(checkpoint: Path) -> Path:
    """The checkpoint whose weights were the best when `checkpoint` was written."""
    return checkpoint.with_name(f"checkpoint-{trainer_state(checkpoint)['best_global_step']}")


def trainer_state(checkpoint: Path) -> dict[str, Any]:
    """What transformers' Trainer wrote of its state."""
    state: dict[str, Any] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return state


def needed(folder: Path) -> list[Path]:
    """The last two checkpoints, so that one can break, and the best by each."""
    last = marked_checkpoints(folder)[-2:]
    return [*last, *(best_checkpoint(path) for path in last)]


def mark_complete(checkpoint: Path) -> None:
    """To be called when everything of `checkpoint` is written: it is brought to the disk before the mark is."""
    synced(checkpoint)
    with written_whole(checkpoint / COMPLETE) as aside:
        aside.write_text(json.dumps(_digests(checkpoint)))


def discard(folder: Path, keep: list[Path]) -> None:
    """Remove the checkpoints that are not in `keep`, half-written ones included."""
    kept = {path.resolve() for path in keep}
    for path in folder.glob("checkpoint-*"):
        if path.resolve() not in kept:
            (path / COMPLETE).unlink(missing_ok=True)
            shutil.rmtree(path)


def _fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint that was marked complete; None if nothing is."""
    try:
        told: Any = json.loads((checkpoint / COMPLETE).read_text(encoding="utf-8"))
        found = _digests(checkpoint)
    except (OSError, ValueError):
        return f"{COMPLETE} can't be read"
    if not isinstance(told, dict) or STATE not in told:
        return f"{COMPLETE} names no files"
    changed = [name for name, digest in told.items() if found.get(name) != digest]
    return f"{', '.join(changed)}: not as written" if changed else None


def _digests(checkpoint: Path) -> dict[str, str]:
    files = sorted(path for path in checkpoint.iterdir() if path.is_file() and path.name != COMPLETE)
    files = [path for path in files if not path.name.startswith(f".{COMPLETE}.")]
    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter to others
        return dict(zip((path.name for path in files), pool.map(file_digest, files), strict=True))


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
