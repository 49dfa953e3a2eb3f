"""Ctrl-C and a request to end: soon, in a sentence, whatever the process is doing."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PREAMBLE = """import pathlib, sys, time
from components import interrupts
from components.errors import exit_on_error
interrupts.AGAIN_SECONDS, interrupts.END_SECONDS = 0.3, 0.9
def work():
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(30)
with exit_on_error(), interrupts.ends_on_signals():
"""
WORK = {
    "plain": "    work()",
    "loses it once": "    try: work()\n    except KeyboardInterrupt: time.sleep(30)",
    "loses it in a finaliser": "    class Last:\n        def __del__(self): work()\n    Last()\n    time.sleep(30)",
    "loses it always": "    while True:\n        try: work()\n        except KeyboardInterrupt: pass",
    "cleans up at length": "    try: work()\n    finally:\n        try: time.sleep(9)\n        finally: time.sleep(9)",
}


def interrupted(code: str, mark: Path, number: signal.Signals) -> tuple[int, str, float]:
    """Exit status, what was written, and seconds that the end took."""
    command = [sys.executable, "-c", PREAMBLE + code, str(mark)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not mark.exists():
        assert process.poll() is None
        time.sleep(0.02)
    sent = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    return process.returncode, said, time.monotonic() - sent


@pytest.mark.parametrize("code", WORK.values(), ids=WORK.keys())
def test_the_process_ends_with_one_sentence(code: str, tmp_path: Path) -> None:
    status, said, _ = interrupted(code, tmp_path / "mark", signal.SIGTERM)
    assert (status, said) == (143, "interrupted: what was finished is kept; run the same command again to go on\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_the_status_names_the_signal(number: signal.Signals, status: int, tmp_path: Path) -> None:
    assert interrupted(WORK["plain"], tmp_path / "mark", number)[0] == status


def test_an_interpreter_that_ends_slowly_is_cut_short(tmp_path: Path) -> None:
    code = "    import atexit; atexit.register(time.sleep, 30)\n    work()"
    status, _, seconds = interrupted(code, tmp_path / "mark", signal.SIGTERM)
    assert status == 143 and seconds < 15


def test_it_ends_with_its_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", PREAMBLE + WORK["loses it always"], str(mark)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    while not mark.exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 129
