"""Hashes of what was fetched, held against the pins in params.yaml."""

import hashlib
from pathlib import Path

from components.config.sources import Source
from components.errors import DataError
from components.files import file_digest


def digests(folder: Path) -> dict[str, str]:
    """Sha256 of every file below `folder`, by its path there, sorted."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: file_digest(files[name]) for name in sorted(files)}


def folder_digest(folder: Path) -> str:
    """Sha256 of a folder: that of its lines `sha256  path`, sorted by path, each closed by a newline."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in digests(folder).items())
    return hashlib.sha256(lines.encode()).hexdigest()


def verify(source: Source, artefact: Path) -> None:
    """Hold a file or folder against the source's pin, if it has one.

    Raises:
        DataError: it is another; the text names both hashes.
    """
    if source.sha256 is None:
        return
    found = folder_digest(artefact) if artefact.is_dir() else file_digest(artefact)
    if found != source.sha256:
        raise DataError(
            f"{source.uri}: the sha256 in params.yaml is {source.sha256}, that of what came is {found}; nothing of "
            "it was kept: try again if the transfer was broken, or learn why the source changed before changing the pin"
        )
