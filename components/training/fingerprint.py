"""What makes two runs the same: code, data, parameters, seed, and the libraries that compute."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import components
from components.files import file_digest

# Rooms whose code decides a run's numbers; a change elsewhere (a plot, a message of the CLI) redoes nothing.
CODE = ("augmentation", "encoder", "evaluation", "objectives", "text.py", "training", "variants.py")
LIBRARIES = ("torch", "transformers", "sentence-transformers")


def fingerprint(settings: Mapping[str, Any], data: Mapping[str, str], seed: int) -> str:
    """16 hexadecimal digits over `settings`, the data sets' digests, the seed, the code and the libraries' versions."""
    whole = {
        "settings": settings,
        "data": dict(data),
        "seed": seed,
        "code": code_digest(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def code_digest() -> str:
    """Digest of the Python files of the rooms that decide a run's numbers."""
    root = Path(components.__file__).parent
    digest = hashlib.sha256()
    for path in _files(root):
        digest.update(f"{path.relative_to(root)} {file_digest(path)}\n".encode())
    return digest.hexdigest()


def _files(root: Path) -> Iterable[Path]:
    for name in CODE:
        room = root / name
        yield from sorted(room.rglob("*.py")) if room.is_dir() else [room]
