"""The embedded store follows its folder: MLflow keeps absolute paths, which a moved or copied project leaves behind.

The store records the folder that it lies in. When it is opened in another one, every location that leads to the former
folder is rewritten in one transaction, so that a moved project finds its artifacts and a copy never writes into the
original. Needs SQLite alone, not MLflow.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.errors import CseflowError

ARTIFACTS = "mlartifacts"
log = logging.getLogger(__name__)
_ROOT = "cseflow_root"  # our table of one row: the folder of the store
_LOCK_SECONDS = 60
# Where MLflow 3 keeps locations. A column that is missing is not yet, or no longer, MLflow's.
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)


def relocate(database: Path) -> None:
    """Have the SQLite store `database` point to the folder that it lies in; does nothing where it does already.

    A copy of the data base alone, whose artifacts are still in the former folder, goes on reading them there; what is
    new goes beside it.

    Raises:
        CseflowError: the store was moved, and can't be written to.
    """
    if not database.is_file():
        return
    here = database.absolute().parent
    try:
        with closing(sqlite3.connect(database, timeout=_LOCK_SECONDS, isolation_level=None)) as connection:
            if _recorded(connection) == str(here):
                return
            connection.execute("BEGIN IMMEDIATE")
            _relocate(connection, here)
            connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error) and "read-only" not in str(error):
            raise CseflowError(f"{database} can't be opened: {error}; stop what holds it and try again") from None
        log.warning("%s is read-only: it was not checked whether it leads to another folder", database)
    except sqlite3.DatabaseError:
        return  # no SQLite file: MLflow says so itself


def _relocate(connection: sqlite3.Connection, here: Path) -> None:
    recorded = _recorded(connection)
    for former in [recorded] if recorded else _guessed(connection):
        if former == str(here) or _same_folder(Path(former), here):
            continue
        moved = 0
        for table, column in _LOCATIONS:
            if column in _columns(connection, table):
                # A recorded folder is left for good: no experiment may go on writing there.
                always = recorded is not None and table == "experiments"
                moved += _rewrite(connection, table, column, _mover(Path(former), here, always))
        if moved:
            log.warning("the MLflow store was in %s: %d locations now lead to %s", former, moved, here)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {_ROOT} (root TEXT NOT NULL)")
    connection.execute(f"DELETE FROM {_ROOT}")
    connection.execute(f"INSERT INTO {_ROOT} VALUES (?)", (str(here),))


def _recorded(connection: sqlite3.Connection) -> str | None:
    if not _columns(connection, _ROOT):
        return None
    row = connection.execute(f"SELECT root FROM {_ROOT}").fetchone()
    return None if row is None else str(row[0])


def _guessed(connection: sqlite3.Connection) -> list[str]:
    """The folders that a store without a record may come from: those of its experiments' mlartifacts."""
    if "artifact_location" not in _columns(connection, "experiments"):
        return []
    found = connection.execute("SELECT artifact_location FROM experiments WHERE artifact_location IS NOT NULL")
    paths = [_path(location) for (location,) in found]
    parents = [[path, *path.parents] for path in paths if path is not None]
    return sorted({str(each.parent) for chain in parents for each in chain if each.name == ARTIFACTS})


def _mover(former: Path, here: Path, always: bool) -> Callable[[str], str]:
    """Turns a location under `former` into the one under `here`, unless the files are still there and not here."""
    prefixes = {former.as_uri() + "/": here.as_uri() + "/", f"{former}/": f"{here}/"}

    def move(location: str) -> str:
        for old, new in prefixes.items():
            if location.startswith(old):
                moved = new + location.removeprefix(old)
                before, after = _path(location), _path(moved)
                stays = before is not None and after is not None and before.exists() and not after.exists()
                return location if stays and not always else moved
        return location

    return move


def _rewrite(connection: sqlite3.Connection, table: str, column: str, move: Callable[[str], str]) -> int:
    found = connection.execute(f"SELECT DISTINCT {column} FROM {table} WHERE {column} LIKE '%/%'").fetchall()
    changes = [(move(location), location) for (location,) in found if move(location) != location]
    connection.executemany(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", changes)
    return len(changes)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _path(location: str) -> Path | None:
    """The local path of a location, None for one elsewhere."""
    parts = urlsplit(location)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(location) if location.startswith("/") else None


def _same_folder(former: Path, here: Path) -> bool:
    try:
        return former.samefile(here)
    except OSError:
        return False
