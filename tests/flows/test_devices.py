"""Two runs on one GPU: the second waits."""

import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from flows.devices import SHARED, held
from tests.tracking.server import until

HOLD = (
    "import sys, pathlib; from flows.devices import held\nwith held([sys.argv[1]]): pathlib.Path(sys.argv[2]).touch()"
)


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4()}"


def other(name: str, mark: Path) -> subprocess.Popen[bytes]:
    """Another process that touches `mark` once it holds the device."""
    return subprocess.Popen([sys.executable, "-c", HOLD, name, str(mark)])


def test_a_second_run_waits_until_the_device_is_free(name: str, tmp_path: Path) -> None:
    with held([name]):
        process = other(name, tmp_path / "mark")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        assert not (tmp_path / "mark").exists()
    assert process.wait(60) == 0 and (tmp_path / "mark").exists()


def test_runs_share_a_device_where_that_is_asked_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARED, "1")
    with held([name]):
        assert other(name, tmp_path / "mark").wait(60) == 0


def test_a_killed_run_frees_its_device(name: str, tmp_path: Path) -> None:
    code = HOLD.replace(".touch()", ".touch(); import time; time.sleep(600)")
    holder = subprocess.Popen([sys.executable, "-c", code, name, str(tmp_path / "first")])
    until((tmp_path / "first").exists)
    holder.kill()
    holder.wait()
    started = time.monotonic()
    with held([name]):
        assert time.monotonic() - started < 30
