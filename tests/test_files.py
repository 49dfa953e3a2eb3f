"""Files and folders appear whole or not at all, whatever kills the writer."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import files
from components.files import folder_written_whole, written_whole

# Replaces the folder `there` and kills itself at the call of os or Path that is named by number.
KILLED = """
import os, pathlib, signal, sys
from components import files
calls = 0
def deadly(call):
    def counted(*arguments, **named):
        global calls
        calls += 1
        if calls == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return counted
for name in ("_sync", "_replace", "_exchange", "_remove"):
    setattr(files, name, deadly(getattr(files, name)))
pathlib.Path.rename = deadly(pathlib.Path.rename)
if sys.argv[2] == "two renames":
    files._exchange = lambda path, aside: False
with files.folder_written_whole("there") as aside:
    for name in "abc":
        (aside / name).write_text("new")
"""


@pytest.fixture
def umask() -> Iterator[int]:
    old = os.umask(0o027)
    yield 0o027
    os.umask(old)


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_umask_decides_who_may_read(umask: int, tmp_path: Path) -> None:
    with written_whole(tmp_path / "file") as aside:
        aside.write_text("secret")
    with folder_written_whole(tmp_path / "folder"):
        pass
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder")]
    assert modes == [0o666 & ~umask, 0o777 & ~umask]


def test_a_failed_file_leaves_the_old_one_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError), written_whole(tmp_path / "file") as aside:
        aside.write_text("ne")
        raise RuntimeError
    assert content(tmp_path) == {"file": "old"}


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(files, "_renameat2", lambda: None)
    for name in ("old", "new"):
        with folder_written_whole(tmp_path / "folder") as aside:
            (aside / name).write_text(name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert content(tmp_path / "folder") == {"new": "new"}


def test_a_failed_folder_leaves_the_old_one_alone(tmp_path: Path) -> None:
    with folder_written_whole(tmp_path / "folder") as aside:
        (aside / "a").write_text("old")
    with pytest.raises(RuntimeError), folder_written_whole(tmp_path / "folder") as aside:
        (aside / "a").write_text("ne")
        raise RuntimeError
    assert content(tmp_path / "folder") == {"a": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_long_name_has_a_place_beside_it(tmp_path: Path) -> None:
    for name in ("é" * 120, "é" * 119 + "e"):
        with folder_written_whole(tmp_path / name) as aside:
            (aside / "a").write_text(name)
    assert [(path / "a").read_text() == path.name for path in tmp_path.iterdir()] == [True, True]


def test_every_file_and_folder_is_on_the_disk_before_the_swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(files, "_sync", lambda path: order.append(path.name))
    monkeypatch.setattr(files, "_replace", lambda path, aside: order.append("replace"))
    with folder_written_whole(tmp_path / "folder") as aside:
        (aside / "sub").mkdir()
        (aside / "sub/b").write_text("b")
    assert sorted(order[:3]) == sorted(["sub", "b", aside.name])
    assert order[3:] == ["replace", tmp_path.name]


@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_a_kill_at_any_step_leaves_old_or_new(tmp_path: Path, way: str) -> None:
    with folder_written_whole(tmp_path / "there") as aside:
        for name in "abc":
            (aside / name).write_text("old")
    for step in range(1, 20):
        done = subprocess.run([sys.executable, "-c", KILLED, str(step), way], cwd=tmp_path, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        if way == "two renames":  # else it is there at every moment
            with pytest.raises(RuntimeError), folder_written_whole(tmp_path / "there"):
                raise RuntimeError
        assert set(content(tmp_path / "there").values()) in ({"old"}, {"new"})
        assert set(content(tmp_path / "there")) == set("abc")
    assert step > 5
    with folder_written_whole(tmp_path / "there"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_a_kill_left_of_a_file_is_removed_by_the_next_call(tmp_path: Path) -> None:
    killed = """if True:
        import os, pathlib, signal
        from components.files import written_whole
        with written_whole("file") as aside:
            aside.write_text("ne")
            pathlib.Path(f"{aside}-journal").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    (tmp_path / ".other.0123456789abcdef.tmp").touch()
    done = subprocess.run([sys.executable, "-c", killed], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL and len(content(tmp_path)) == 3
    with written_whole(tmp_path / "file") as aside:
        aside.write_text("new")
    assert content(tmp_path) == {"file": "new", ".other.0123456789abcdef.tmp": ""}


def test_a_file_that_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    with written_whole(tmp_path / "file") as one:
        one.write_text("one")
        with written_whole(tmp_path / "file") as other:
            other.write_text("other")
        assert one.read_text() == "one"
    assert content(tmp_path) == {"file": "one"}


def test_a_folder_that_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    with folder_written_whole(tmp_path / "folder") as one:
        (one / "a").write_text("one")
        with folder_written_whole(tmp_path / "folder") as other:
            (other / "a").write_text("other")
        assert content(one) == {"a": "one"}
    assert content(tmp_path / "folder") == {"a": "one"}
