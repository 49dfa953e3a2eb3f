"""One member of an archive: a file or folder out of a wheel, zip or tar, and nothing beside its place.

An archive comes from outside, so nothing in it is trusted: names that lead elsewhere, links, devices, encrypted
members, names that clash and content that expands beyond all bounds are refused, each by one sentence.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from components.errors import DataError
from components.text import well_formed

LEAST = 1 << 26  # bytes that any archive may unpack to, however small it is
PIECE = 1 << 20  # bytes copied at a time
AGAIN = "run the same command again, and check the source if it stays so"
DECOMPRESSORS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


class Member(NamedTuple):
    """A file in an archive, or what is neither file nor folder; it is opened before the next one is taken."""

    name: str
    regular: bool
    open: Callable[[], Any]


class Bomb(Exception):
    """More bytes came out than the bound allows."""


class Bounded(io.RawIOBase):
    """Reads from `content` until `left` bytes are spent."""

    def __init__(self, content: IO[bytes], left: int) -> None:
        self._content = content
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._content.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise Bomb
        buffer[: len(piece)] = piece
        return len(piece)


def unpack(uri: str, archive: Path, member: str, into: Path, expansion: int) -> Path:
    """Put the file `member`, or the content of the folder `member/` ('' is all), into the folder `into`.

    Args:
        expansion: bytes that may come out for each byte of the archive; `LEAST` in any case.

    Returns:
        The file in `into`, or `into` itself for a folder.

    Raises:
        DataError: the archive is broken or refused; what of it lies in `into` is to be thrown away.
    """
    bound = max(LEAST, expansion * archive.stat().st_size)
    whole = not member or member.endswith("/")
    found, name = False, member
    try:
        for name, regular, opened in _members(archive, bound):
            if not (name.startswith(member) if whole else name == member):
                continue
            found = True
            target = into / _place(uri, archive, name, name.removeprefix(member) if whole else name.split("/")[-1])
            if not regular:
                raise DataError(
                    f"{uri}: {name!r} in {archive.name} is a link or a device, which is never unpacked; name a member "
                    "without one, or unpack the archive yourself and give the folder as file://"
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened() as content, target.open("xb") as unpacked:
                while piece := content.read(PIECE):
                    bound -= len(piece)
                    if bound < 0:
                        raise Bomb
                    unpacked.write(piece)
    except Bomb:
        raise DataError(
            f"{uri}: {archive.name} unpacks to more than {expansion} times its {archive.stat().st_size:,} bytes; it is "
            "most likely made to fill the disk: if it is not, raise `expansion` of this source in params.yaml"
        ) from None
    except (*BROKEN, ValueError) as error:
        raise DataError(f"{uri}: {archive.name} is truncated or corrupt ({error}); {AGAIN}") from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise DataError(
            f"{uri}: {archive.name} holds {name!r} twice, or as a file and as a folder; name another member"
        ) from None
    except (NotImplementedError, RuntimeError) as error:  # what zipfile raises of encryption and of methods
        raise DataError(
            f"{uri}: {name!r} in {archive.name} can't be unpacked ({error}); an encrypted or "
            "unusually compressed archive has to be unpacked by hand and given as file://"
        ) from None
    except OSError as error:
        if error.errno is None:  # of a decompressor
            raise DataError(f"{uri}: {archive.name} is truncated or corrupt ({error}); {AGAIN}") from None
        raise DataError(f"{uri}: {name!r} in {archive.name} can't be written here ({error.strerror})") from None
    if not found:
        raise DataError(f"{uri}: {archive.name} holds no {member} (a folder's path ends in a slash)")
    return into if whole else into / PurePosixPath(member).name


def _place(uri: str, archive: Path, name: str, inside: str) -> PurePosixPath:
    """Where below the target a member goes.

    Raises:
        DataError: outside, or at a name that is none.
    """
    place = PurePosixPath(inside)
    if place.is_absolute() or ".." in place.parts or not place.parts or "\\" in name or well_formed(name) != name:
        raise DataError(f"{uri}: {name!r} in {archive.name} would land outside of its folder; don't use this archive")
    return place


def _members(archive: Path, bound: int) -> Iterator[Member]:
    """All files of an archive, and what is neither file nor folder, in the archive's order."""
    with archive.open("rb") as head:
        magic = head.read(6)
    return _of_zip(archive) if magic.startswith(b"PK") else _of_tar(archive, magic, bound)


def _of_zip(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if not info.is_dir():
                kind = stat.S_IFMT(info.external_attr >> 16)
                yield Member(info.filename, kind in {0, stat.S_IFREG}, partial(opened.open, info))


def _of_tar(archive: Path, magic: bytes, bound: int) -> Iterator[Member]:
    opener = next((opener for start, opener in DECOMPRESSORS.items() if magic.startswith(start)), open)
    with opener(archive, "rb") as stream:
        # As a stream, because reading it twice would decompress it twice; all that it expands to counts.
        bounded: Any = io.BufferedReader(Bounded(stream, bound), PIECE)
        with tarfile.open(fileobj=bounded, mode="r|") as opened:
            for info in opened:
                if not info.isdir():
                    yield Member(info.name.removeprefix("./"), info.isreg(), partial(opened.extractfile, info))
