"""A bar on a terminal, few lines in a log."""

import pty
import re
import subprocess
import sys
from os import close, read

from components.progress import Progress

CODE = """from components.progress import Progress
for _ in Progress(range(1000), desc="work", unit=" steps", mininterval=0): pass"""


def test_a_log_gets_a_line_each_tenth_at_most() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], stderr=subprocess.PIPE, text=True, check=True)
    lines = done.stderr.splitlines()
    assert "\r" not in done.stderr and 1 <= len(lines) <= 10
    assert re.fullmatch(r"work: 100% 1000/1000 steps \[.*\]", lines[-1])


def test_a_terminal_gets_a_bar() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", CODE], stderr=theirs, check=True)
    close(theirs)
    assert b"\r" in read(ours, 65536)
    close(ours)


def test_a_bar_without_an_end_writes_nothing_to_a_log() -> None:
    with Progress(desc="work") as bar:
        bar.update(5)
