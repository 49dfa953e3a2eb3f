"""Commands as processes that are killed: at a moment of time, or before the n-th change they make to their files."""

import multiprocessing
import os
import re
import runpy
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PRELOADED = [
    "__main__",
    *("components.augmentation.__main__", "components.corpus.__main__", "components.synthesis.__main__"),
    *("components.promotion.gate", "components.report.page", "components.runs.measure", "components.training.run"),
    *("flows.cli", "flows.experiment", "components.tracking.delivery", "components.synthesis.backends.openai"),
    *("components.tracking.encoder_model", "components.evaluation.predictions", "components.encoder.export"),
    *("sentence_transformers.sentence_transformer.modules", "transformers.models.bert.modeling_bert", "scipy.stats"),
    *("mlflow.sentence_transformers", "mlflow.store.tracking.sqlalchemy_store", "matplotlib.pyplot", "openai"),
]
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.symlink"}
END_SECONDS = 12.0  # after SIGTERM; docs/deployments.md promises 10
LIMIT_SECONDS = 300.0  # of a life that nobody ends

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)


@dataclass(frozen=True)
class Kill:
    """How a life is to end: by `number`, after `seconds` or before the change to its files that is number `change`.

    `family`: its whole process group at once, as a machine that goes down; else the process alone.
    `where`: instead of a number, a piece of the path whose first change it is.
    """

    number: signal.Signals = signal.SIGKILL
    seconds: float | None = None
    change: int | None = None
    where: str | None = None
    family: bool = False


@dataclass(frozen=True)
class Life:
    """What became of a process: `status` as subprocess has it, `changes` counted up to a normal end."""

    status: int
    seconds: float
    said: str
    landed: str  # the last thing it did to its files, or was about to do; empty where it ended by itself
    changes: int


def live(
    folder: Path,
    command: Sequence[str],
    kill: Kill | None = None,
    environment: Mapping[str, str] | None = None,
    notes: Path | None = None,
) -> Life:
    """Run `command` in `folder` until it ends, or is ended by `kill`."""
    return Started(folder, command, kill, environment, notes).ended()


def warm() -> None:
    """Have everything imported that processes are forked from, so that the first one's time is that of its work."""
    process = _context.Process(target=os.getpid)
    process.start()
    process.join()


class Started:
    """A command at work in `folder`; what it prints goes to `notes`, by default .state/ there."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        kill: Kill | None = None,
        environment: Mapping[str, str] | None = None,
        notes: Path | None = None,
    ) -> None:
        self.folder, self.kill = folder, kill
        self._notes = (notes or folder / ".state") / f"life-{time.monotonic_ns()}"
        self._notes.parent.mkdir(exist_ok=True)
        arguments = (folder, list(command), dict(environment or {}), self._notes, kill)
        self._began = time.monotonic()
        self.process: BaseProcess = _context.Process(target=_live, args=arguments)
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def ended(self) -> Life:
        """Wait for its end; kill it as it is to be."""
        kill, landed = self.kill, ""
        if kill is not None and kill.seconds is not None:
            self.process.join(max(0.0, kill.seconds - (time.monotonic() - self._began)))
            if self.process.exitcode is None:
                landed = newest(self.folder)
                self._send(kill)
        self.process.join(END_SECONDS if landed and kill and kill.number == signal.SIGTERM else LIMIT_SECONDS)
        late = self.process.exitcode is None
        if late:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.join()
        seconds = time.monotonic() - self._began
        said = _read(self._notes.with_suffix(".log"))
        if late:
            said += f"\n[did not end: {seconds:.0f} s]"
        count, _, place = _read(self._notes.with_suffix(".changes")).partition(" ")
        status = self.process.exitcode
        assert status is not None
        for path in self._notes.parent.glob(f"{self._notes.name}.*"):
            path.unlink()
        return Life(status, seconds, said, landed or place, int(count or 0))

    def _send(self, kill: Kill) -> None:
        with suppress(ProcessLookupError):  # it ended by itself just now
            (os.killpg if kill.family else os.kill)(self.pid, kill.number)


def newest(folder: Path) -> str:
    """The file of a project that was changed last, without what makes its name unique."""
    files = [path for name in ("data", "answers", "runs", "reports") for path in (folder / name).rglob("*")]
    files += folder.glob("mlflow.db*")
    times = []
    for path in files:
        try:
            times.append((path.stat().st_mtime_ns, path))
        except OSError:
            continue
    return plain(str(max(times)[1].relative_to(folder))) if times else "nothing yet"


def plain(path: str) -> str:
    """A path without ids, steps and random parts."""
    path = re.sub(r"\.[0-9a-f]{16}\.tmp", ".*.tmp", path)
    path = re.sub(r"m-[0-9a-f]{32}|[0-9a-f]{32}", "ID", path)
    path = re.sub(r"-[0-9a-f]{12,64}\b", "-ID", path)
    return re.sub(r"checkpoint-\d+", "checkpoint-N", path)


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _live(folder: Path, command: list[str], environment: dict[str, str], notes: Path, kill: Kill | None) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    said = os.open(notes.with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    counted = _count_changes(folder, os.open(notes.with_suffix(".changes"), os.O_CREAT | os.O_WRONLY), kill)
    try:
        program, *arguments = command
        sys.argv = [program, *arguments]
        if program == "cseflow":
            from flows.cli import main

            main(arguments)
        else:
            assert command[:2] == ["python", "-m"]
            sys.argv = sys.argv[2:]
            runpy.run_module(command[2], run_name="__main__")
    finally:
        counted()
        sys.stdout.flush()
        sys.stderr.flush()


def _count_changes(folder: Path, notes: int, kill: Kill | None) -> Callable[[], None]:
    """Watch what this process does to files under `folder`, and end it before the change that `kill` names."""
    me, home, counts, done = os.getpid(), str(folder), [0], [False]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if (event not in CHANGES and event != "open") or os.getpid() != me:
            return
        path = _changed(event, arguments)
        if path is None or not os.path.abspath(path).startswith(home) or "/.state/" in path:  # noqa: PTH100
            return
        counts[0] += 1
        if kill is None or kill.seconds is not None or done[0]:
            return
        if counts[0] == kill.change or (kill.where is not None and kill.where in path):
            done[0] = True
            place = plain(os.path.relpath(path, home))
            os.write(notes, f"{counts[0]} before {event} {place}".encode())
            if kill.family and kill.number == signal.SIGKILL:
                os.killpg(me, kill.number)
            os.kill(me, kill.number)

    sys.addaudithook(watch)

    def noted() -> None:
        if not os.fstat(notes).st_size:  # no kill has said where it was
            os.write(notes, str(counts[0]).encode())

    return noted


def _changed(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The path that an audit event is about to change."""
    path = arguments[1] if event in ("os.rename", "os.link") else arguments[0]
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    if event == "open":
        _, mode, flags = arguments
        writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else False
        if not writes and not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
            return None
    return os.fsdecode(path)
