"""Progress of long work: a bar on a terminal, a line now and then in a log."""

import os
import sys
import time
from typing import Any

from tqdm import tqdm

LINE_SECONDS = 1.0  # at least, between two lines of one bar

LINE = "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}{postfix}]"


def quieten_libraries() -> None:
    """Have transformers and the hub show no bars either where stderr is no terminal; call it before they are loaded."""
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


class Progress(tqdm):
    """tqdm; where stderr is no terminal, a line for each tenth that is done."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._lines = not (sys.stderr.isatty() or options.get("disable"))
        self._tenth, self._written = 0, time.monotonic()
        if self._lines:
            options |= {
                "file": _Nowhere(),
                "bar_format": "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt}{unit} [{elapsed}",
            }
            options["bar_format"] += "<{remaining}{postfix}]"
        super().__init__(*args, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show how far it is."""
        if not self._lines:
            super().display(msg, pos)
            return
        if not self.total:
            return
        now, tenth, over = time.monotonic(), int(10 * self.n / self.total), self.n >= self.total
        if tenth > self._tenth and (over or now - self._written >= LINE_SECONDS):
            self._tenth, self._written = tenth, now
            sys.stderr.write(f"{self}\n")


class _Nowhere:
    """A file for what tqdm writes to move a terminal's cursor."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
