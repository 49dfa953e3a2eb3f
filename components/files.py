"""Atomic writes of files and folders, and the digests that DVC and params.yaml name."""

import ctypes
import errno
import fcntl
import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

RENAME_EXCHANGE = 2  # renameat2(2)
AT_FDCWD = -100
UNSYNCED = {errno.EINVAL, errno.ENOTSUP}  # of file systems that have no fsync of a folder


@contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it replaces `path` by one rename, after fsync.

    The file gets the mode that the umask grants. On any exception the unfinished file is removed and `path` stays
    what it was. What killed calls left beside `path` is removed by the next call.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    aside, held = _locked(path, lambda aside: os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)))
    try:
        yield aside
        _sync(aside)
        aside.replace(path)
        _sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)
        if held is not None:
            os.close(held)


@contextmanager
def folder_written_whole(path: Path | str) -> Iterator[Path]:
    """Yield an empty folder beside `path` to fill; on success it takes the place of `path`, and the old one is removed.

    Every file and folder in it is fsynced first. Where the file system can exchange two names (Linux), `path` is the
    old or the new folder at every moment. Elsewhere a kill between two renames can leave `path` missing; the next call
    for `path` then restores the old folder. What killed calls left beside `path` is removed by the next call.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _recover(path)
    aside, held = _locked(path, Path.mkdir)
    try:
        yield aside
        synced(aside)
        _replace(path, aside)
        _sync(path.parent)
    finally:
        _remove(aside)
        if held is not None:
            os.close(held)


def synced(folder: Path) -> None:
    """Have every file and folder in `folder`, and its own entries, on the disk."""
    for inside in [*folder.rglob("*"), folder]:
        if not inside.is_symlink() and (inside.is_file() or inside.is_dir()):
            _sync(inside)


def cut_torn_line(path: Path) -> None:
    """Cut off a last line without a line feed, which a kill has left of a write."""
    with path.open("rb+") as handle:
        content = handle.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            handle.truncate(whole)


def file_digest(path: Path | str, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file's bytes, read in pieces; DVC's own is `md5`."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def _aside(path: Path) -> Path:
    """A hidden name beside `path` that nobody has."""
    return path.with_name(f"{_stem(path)}.{secrets.token_hex(8)}.tmp")


def _old(path: Path) -> Path:
    return path.with_name(f"{_stem(path)}.old.tmp")


def _stem(path: Path) -> str:
    """What the names beside `path` begin with; a long name is cut, because file systems refuse more than 255 bytes."""
    name = path.name
    if len(os.fsencode(name)) > 200:
        name = f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return f".{name}"


def _locked(path: Path, create: Callable[[Path], None]) -> tuple[Path, int | None]:
    """A new file or folder beside `path`, with its lock where the file system has locks."""
    for _ in range(3):  # another call may have taken it for abandoned before it was locked
        aside = _aside(path)
        create(aside)
        held = _lock(aside)
        if held is not None and aside.exists():
            return aside, held
        if held is not None:
            os.close(held)
    if not aside.exists():
        create(aside)
    return aside, None


def _replace(path: Path, aside: Path) -> None:
    """Put `aside` in the place of `path`; what stood there is afterwards at `aside`, or gone."""
    if not os.path.lexists(path):
        aside.rename(path)
    elif not _exchange(path, aside):
        old = _old(path)
        path.rename(old)
        aside.rename(path)
        _remove(old)


def _exchange(path: Path, aside: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system cannot."""
    renameat2 = _renameat2()
    return renameat2 is not None and not renameat2(
        AT_FDCWD, os.fsencode(path), AT_FDCWD, os.fsencode(aside), RENAME_EXCHANGE
    )


@cache
def _renameat2() -> Any:
    return getattr(ctypes.CDLL(None), "renameat2", None)


def _recover(path: Path) -> None:
    """Undo what killed calls for the folder `path` left: an old one moved aside, unfinished ones."""
    old = _old(path)
    if os.path.lexists(old):
        if os.path.lexists(path):
            _remove(old)
        else:
            old.rename(path)
    _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    """Remove unfinished files and folders beside `path` whose processes are gone."""
    for aside in path.parent.glob(f"{glob.escape(_stem(path))}.{'[0-9a-f]' * 16}.tmp"):
        if (held := _lock(aside)) is not None:
            for beside in path.parent.glob(f"{glob.escape(aside.name)}-*"):  # SQLite's journal of it
                _remove(beside)
            _remove(aside)
            os.close(held)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock of `path` until it is closed or the process ends; None where another has it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except OSError:
        os.close(handle)
        return None


def _sync(path: Path) -> None:
    """Have a file's content, or a folder's entries, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno in UNSYNCED):
            raise
    finally:
        os.close(handle)
