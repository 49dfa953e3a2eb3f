"""Receipts of stage `fetch`: for each reader the content of its sources, by which alone it runs again."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from components.config.sources import Source
from components.errors import DataError
from components.paths import DATA, SOURCES
from components.sources.fetch import record_of

FETCHED = DATA / "fetched"  # <reader>.json


def receipt_file(reader: str) -> Path:
    """Where stage `fetch` writes the receipt of a reader, one of `Demand.receipts`."""
    return FETCHED / f"{reader}.json"


def receipt_text(names: Iterable[str], fetched: Path = SOURCES) -> str:
    """Name → digest of the content of these sources, as their records have it, in JSON.

    Raises:
        DataError: a source has not been fetched.
    """
    lines = {name: _digest(name, fetched) for name in names}
    return json.dumps(lines, indent=1, sort_keys=True) + "\n"


def require_pinned(name: str, source: Source, fetched: Path = SOURCES) -> None:
    """See that what was fetched as `name` is what `source` says.

    Raises:
        DataError: it isn't, or nothing was fetched.
    """
    record = _record(name, fetched)
    if (record.get("uri"), record.get("sha256")) != (source.uri, source.sha256):
        raise DataError(f"sources.{name} in params.yaml is not what was fetched: run dvc repro")


def _digest(name: str, fetched: Path) -> str:
    files = sorted(_record(name, fetched)["files"].items())
    return hashlib.sha256("".join(f"{digest}  {path}\n" for path, digest in files).encode()).hexdigest()


def _record(name: str, fetched: Path) -> dict:
    path = record_of(fetched / name)
    try:
        record: dict = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{fetched / name} has not been fetched: run dvc repro (or dvc checkout, dvc pull)") from None
    return record
