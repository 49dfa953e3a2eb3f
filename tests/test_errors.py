"""What the user sees where something fails."""

import errno
import sqlite3

import pytest

from components.errors import exit_on_error


def _wrapped() -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        raise RuntimeError("the checkpoint could not be written") from error


def _quota() -> None:
    raise OSError(errno.EDQUOT, "Disk quota exceeded")


def _database() -> None:
    raise sqlite3.OperationalError("database or disk is full")


def _library() -> None:
    raise ValueError("I/O error: No space left on device (os error 28)")  # as safetensors says it


def _checkpoint() -> None:
    raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 46905664 vs 46905552")  # torch.save


@pytest.mark.parametrize("fails", [_wrapped, _quota, _database, _library, _checkpoint])
def test_a_full_disk_is_one_sentence(fails, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SystemExit) as ended, exit_on_error():
        fails()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("error: the disk is full: make room, then run the same command again")
    assert told.count("\n") == 1


def test_any_other_exception_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), exit_on_error():
        raise ZeroDivisionError
