"""A source to a verified local path, once.

Beside the folder NAME of a source lies the record `.NAME.json`: the source and the hash of every file. What is there,
whole and as recorded is not fetched again. A record holds no time and no machine's path, so that data/sources has the
same bytes everywhere.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from components.config.sources import Source
from components.files import folder_written_whole, written_whole
from components.sources.archive import unpack
from components.sources.digest import digests, verify
from components.sources.hub import fetch_hub
from components.sources.plain import fetch_file, fetch_https
from components.sources.wheel import fetch_wheel

# Each takes what an address names as artefact, puts it into a folder, and returns the folder or the one file in it.
FETCH = {"wheel": fetch_wheel, "hf": fetch_hub, "https": fetch_https, "file": fetch_file}


def resolve(source: Source, into: Path) -> Path:
    """Bring `source` to the folder `into`, unless it is there, whole and unchanged.

    Returns the file inside `into` for a file source, `into` itself for a folder source.

    Raises:
        DataError: the source is unavailable, refused, or its bytes are not those that `sha256` pins; `into` stays
            what it was.
    """
    record = record_of(into)
    known = _recorded(record, into, source)
    if known is None:
        with folder_written_whole(into) as content:
            path = _fetched(source, content)
            known = {"uri": source.uri, "sha256": source.sha256, "path": path.relative_to(content).as_posix()}
            known["files"] = digests(content)
            record.unlink(missing_ok=True)  # until the new one is written, nothing vouches for the folder
        with written_whole(record) as aside:
            aside.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return into / known["path"]


def _fetched(source: Source, content: Path) -> Path:
    scheme, artefact, member = source.address
    fetch = FETCH[scheme]
    if member is None:
        target = fetch(artefact, content)
        verify(source, target)
        return target
    with tempfile.TemporaryDirectory(prefix=".archive.", suffix=".tmp", dir=content.parent) as scratch:
        archive = fetch(artefact, Path(scratch))
        verify(source, archive)
        return unpack(source.uri, archive, member, content, source.expansion)


def record_of(into: Path) -> Path:
    """Where the record of the folder `into` lies."""
    return into.with_name(f".{into.name}.json")


def _recorded(record: Path, into: Path, source: Source) -> dict[str, Any] | None:
    """The record of an earlier fetch of the same source, if every file is still as it was then."""
    if source.uri.startswith("file://") and source.sha256 is None:
        return None  # a local file may have changed since
    try:
        known: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        same = (known["uri"], known["sha256"]) == (source.uri, source.sha256)
        return known if same and known["files"] == digests(into) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
