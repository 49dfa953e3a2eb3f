"""Two runs on one device: the second waits."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows import devices
from flows.devices import SHARED, held, own_devices
from tests.tracking.server import until

HOLD = """import sys, pathlib
from flows.devices import held
with held([sys.argv[1]], "it"): pathlib.Path(sys.argv[2]).touch()"""


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4()}"


def other(name: str, mark: Path) -> subprocess.Popen[bytes]:
    """Another process that touches `mark` once it holds the device."""
    return subprocess.Popen([sys.executable, "-c", HOLD, name, str(mark)])


def test_a_second_run_waits_until_the_device_is_free(name: str, tmp_path: Path) -> None:
    with held([name], "it"):
        process = other(name, tmp_path / "mark")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        assert not (tmp_path / "mark").exists()
    assert process.wait(60) == 0 and (tmp_path / "mark").exists()


def test_runs_share_a_device_where_that_is_asked_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARED, "1")
    with held([name], "it"):
        assert other(name, tmp_path / "mark").wait(60) == 0


def test_a_killed_run_frees_its_device(name: str, tmp_path: Path) -> None:
    code = HOLD.replace(".touch()", ".touch(); import time; time.sleep(600)")
    holder = subprocess.Popen([sys.executable, "-c", code, name, str(tmp_path / "first")])
    until((tmp_path / "first").exists)
    holder.kill()
    holder.wait()
    started = time.monotonic()
    with held([name], "it"):
        assert time.monotonic() - started < 30


def wanted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The locks that a run on this machine, taken to have no GPU, asks for."""
    names: list[str] = []

    @contextmanager
    def asked(given: Sequence[str], what: str) -> Iterator[None]:
        names.extend(given)
        yield

    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr(devices, "held", asked)
    with own_devices():
        return names


def test_without_a_gpu_a_run_has_all_cores_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(devices.THREADS, raising=False)
    assert wanted(monkeypatch) == [f"core-{core}" for core in os.sched_getaffinity(0)]


def test_who_limits_the_threads_shares_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.THREADS, "1")
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    monkeypatch.setattr(devices, "usable_cores", lambda: 2)
    assert wanted(monkeypatch) == []


def test_who_waits_says_for_what(name: str, tmp_path: Path) -> None:
    with held([name], "it"):
        code = HOLD.replace('"it"', '"the processor"')
        process = subprocess.Popen(
            [sys.executable, "-c", code, name, str(tmp_path / "mark")], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert f"another run has the processor: waiting for it ({SHARED}=1" in process.stderr.readline()
    assert process.wait(60) == 0
