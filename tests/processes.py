"""Processes that a test may kill, forked from one that has already imported what takes seconds to import."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["components.training.run", "components.synthesis.__main__"])


def start(folder: Path, target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that calls `target`, a function of a module, with `folder` as its working folder."""
    process = _CONTEXT.Process(target=_in, args=(folder, target, *arguments))
    process.start()
    return process


def _in(folder: Path, target: Callable[..., Any], *arguments: Any) -> None:
    os.chdir(folder)
    target(*arguments)
