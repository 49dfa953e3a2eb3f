"""Members of archives, and what an archive can do to whoever unpacks it."""

import hashlib
import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from components.config.sources import Source
from components.errors import DataError
from components.sources import resolve

FILES = {"data/a.txt": b"a", "data/sub/b.txt": b"b", "database.txt": b"no"}


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


def make_zip(path: Path, members: dict[str, bytes], **infos: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def make(path: Path, members: dict[str, bytes] = FILES) -> Path:
    if path.suffix == ".zip":
        make_zip(path, members)
    else:
        make_tar(path, members, {"tar": "w", "xz": "w:xz", "bz2": "w:bz2"}.get(path.suffix[1:], "w:gz"))
    return path


def taken(archive: Path, member: str, into: Path, **settings: int) -> dict[str, bytes]:
    resolve(Source(uri=f"file://{archive}!/{member}", **settings), into)
    return {path.relative_to(into).as_posix(): path.read_bytes() for path in into.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["d.tar", "d.tar.gz", "d.tgz", "d.tar.bz2", "d.tar.xz", "d.zip"])
def test_a_folder_of_an_archive_has_its_content_directly_inside(tmp_path: Path, name: str) -> None:
    assert taken(make(tmp_path / name), "data/", tmp_path / "out") == {"a.txt": b"a", "sub/b.txt": b"b"}


@pytest.mark.parametrize("name", ["d.tgz", "d.zip"])
def test_a_file_or_all_of_an_archive_may_be_named(tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / name)
    assert taken(archive, "data/sub/b.txt", tmp_path / "one") == {"b.txt": b"b"}
    assert taken(archive, "", tmp_path / "all") == FILES


def test_the_pin_is_that_of_the_archive(tmp_path: Path) -> None:
    archive = make(tmp_path / "d.tar")
    pin = hashlib.sha256(archive.read_bytes()).hexdigest()
    resolve(Source(uri=f"file://{archive}!/data/", sha256=pin), tmp_path / "out")
    with pytest.raises(DataError, match="0" * 64):
        resolve(Source(uri=f"file://{archive}!/data/", sha256="0" * 64), tmp_path / "out")


def test_a_member_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"d\.tar holds no none\.txt"):
        taken(make(tmp_path / "d.tar"), "none.txt", tmp_path / "out")


@pytest.mark.parametrize("uri", ["https://host/d.rar!/a", "file://d!/a", "hf://datasets/o/n/d.txt!/a"])
def test_only_of_an_archive_can_a_member_be_named(uri: str) -> None:
    with pytest.raises(ValidationError, match=r"before `!/` stands an archive"):
        Source(uri=uri)


def _tar_of(*headers: tarfile.TarInfo) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with tarfile.open(folder / "d.tar", "w") as archive:
            for header in headers:
                archive.addfile(header, io.BytesIO(bytes(header.size)))
        return folder / "d.tar"

    return write


def _header(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, to
    return header


def _zip_of(**members: zipfile.ZipInfo) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "d.zip", "w") as archive:
            for info in members.values():
                archive.writestr(info, b"/etc/passwd")
        return folder / "d.zip"

    return write


def _zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def _patched_zip(at_local: int, at_central: int, value: int) -> Callable[[Path], Path]:
    """A zip of one member with a byte of its two headers changed: flags (6, 8) or method (8, 10)."""

    def write(folder: Path) -> Path:
        make_zip(folder / "d.zip", {"data/a.txt": b"a"})
        content = bytearray((folder / "d.zip").read_bytes())
        content[at_local] = content[content.index(b"PK\x01\x02") + at_central] = value
        (folder / "d.zip").write_bytes(content)
        return folder / "d.zip"

    return write


def _corrupt(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        archive = make(folder / name, {"data/a.txt": random.Random(0).randbytes(5000)})
        content = bytearray(archive.read_bytes())
        content[2000:2040] = bytes(40)
        archive.write_bytes(content)
        return archive

    return write


def _cut(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        archive = make(folder / name, {"data/a.txt": random.Random(0).randbytes(5000)})
        archive.write_bytes(archive.read_bytes()[:3000])
        return archive

    return write


@pytest.mark.parametrize(
    ("write", "words"),
    {
        "a link": (_tar_of(_header("data/a", tarfile.SYMTYPE, "/etc/passwd")), "is a link or a device"),
        "a hard link": (_tar_of(_header("data/a", tarfile.LNKTYPE, "b")), "is a link or a device"),
        "a device": (_tar_of(_header("data/null", tarfile.CHRTYPE)), "is a link or a device"),
        "a link and a file below it": (
            _tar_of(_header("data/a", tarfile.SYMTYPE, "/tmp"), _header("data/a/b")),
            "is a link or a device",
        ),
        "a link in a zip": (_zip_of(a=_zip_link("data/a")), "is a link or a device"),
        "a name that leads outside": (_tar_of(_header("data/../../escaped")), "outside of its folder"),
        "an absolute name": (_tar_of(_header("data//etc/escaped")), "outside of its folder"),
        "a name that is not UTF-8": (_tar_of(_header("data/caf\udce9")), "outside of its folder"),
        "a file and a folder of one name": (_tar_of(_header("data/a"), _header("data/a/b")), "as a file and as a"),
        "a folder and a file of one name": (_tar_of(_header("data/a/b"), _header("data/a")), "as a file and as a"),
        "a name twice": (_tar_of(_header("data/a"), _header("data/a")), "twice"),
        "a name of 300 characters": (_tar_of(_header("data/" + "n" * 300)), "File name too long"),
        "an encrypted member": (_patched_zip(6, 8, 1), "encrypted"),
        "an unknown compression": (_patched_zip(8, 10, 77), "compression"),
        "a corrupt gzip": (_corrupt("d.tgz"), "truncated or corrupt"),
        "a corrupt bzip2": (_corrupt("d.tar.bz2"), "truncated or corrupt"),
        "a corrupt xz": (_corrupt("d.tar.xz"), "truncated or corrupt"),
        "a corrupt zip": (_corrupt("d.zip"), "truncated or corrupt"),
        "a truncated tar": (_cut("d.tar"), "truncated or corrupt"),
        "a truncated gzip": (_cut("d.tgz"), "truncated or corrupt"),
        "a truncated zip": (_cut("d.zip"), "truncated or corrupt"),
    }.values(),
)
def test_what_is_refused_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, write: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(DataError, match=words) as refused:
        taken(write(tmp_path), "data/", tmp_path / "sources/out")
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "sources").iterdir()) == []


@pytest.mark.parametrize("name", ["d.tgz", "d.zip"])
def test_what_expands_beyond_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("components.sources.archive.LEAST", 1)
    archive = make(tmp_path / name, {"data/zeros": bytes(1_000_000)})
    with pytest.raises(DataError, match=r"more than 100 times its .* raise `expansion` of this source"):
        taken(archive, "data/", tmp_path / "out")
    assert taken(archive, "data/zeros", tmp_path / "out", expansion=2000)["zeros"] == bytes(1_000_000)


@pytest.mark.parametrize(
    "uri",
    [
        "https://host/",
        "https://host/a/..",
        "https://user:password@host/a.txt",
        "https://[host/a.txt",
        "https://host/a%00.txt",
        "wheel://cargo/cargo/a.txt",
        "hf://spaces/owner/name",
    ],
)
def test_a_uri_of_no_known_form_is_refused_when_params_are_read(uri: str) -> None:
    with pytest.raises(ValidationError):
        Source(uri=uri)
