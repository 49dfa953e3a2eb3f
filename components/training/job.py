"""What the processes of a run receive, what they answer, and why one failed: files in its folder, seen by all nodes."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from components.config.base import Section
from components.config.training import Layout
from components.errors import CseflowError, DataError
from components.files import cut_torn_line, written_whole
from components.spec import RunSpec
from components.training.trainer import Record

METRICS = "metrics.jsonl"  # one line a record, by the first process
_JOB = "job.json"
_FAILURE = "failure-{}.json"


class Job(Section):
    """A run's specification and how it is laid out, for processes that are started with a folder's name alone."""

    spec: RunSpec
    layout: Layout

    @property
    def processes(self) -> int:
        """On all nodes together."""
        return self.layout.processes * self.layout.nodes

    def write(self, folder: Path) -> None:
        """Put it into `folder`; failures that earlier processes noted there are removed."""
        for path in folder.glob(_FAILURE.format("*")):
            path.unlink()
        with written_whole(folder / _JOB) as aside:
            aside.write_text(self.model_dump_json(), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises DataError where there is none."""
        try:
            return cls.model_validate_json((folder / _JOB).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{folder} holds no {_JOB}; name the folder that `cseflow train` said") from None


class MetricsFile:
    """A `components.training.trainer.Record` that appends to `folder`/metrics.jsonl, each record by one write.

    What earlier processes recorded stays: the process that was to pass it on may have been killed before it did. A line
    that a kill has torn is cut off. One process at a time may have it.
    """

    def __init__(self, folder: Path) -> None:
        if (folder / METRICS).exists():
            cut_torn_line(folder / METRICS)
        self._file = (folder / METRICS).open("ab", buffering=0)

    def __call__(self, values: Mapping[str, float], step: int) -> None:
        self._file.write(json.dumps({"values": dict(values), "step": step}).encode() + b"\n")


class MetricsReader:
    """Passes on what has been appended to `folder`/metrics.jsonl since it was last asked; at first, all that is there.

    A point that a resumed training has repeated is passed on twice, with the same value.
    """

    def __init__(self, folder: Path, record: Record) -> None:
        self._path, self._record, self._offset = folder / METRICS, record, 0

    def pass_on(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # still being written
                self._offset += len(line)
                told = json.loads(line)
                self._record(told["values"], told["step"])


@dataclass(frozen=True)
class Failure:
    """Why a process ended: `foreseen` where `text` is a sentence for the user; `time` in seconds since 1970."""

    rank: int
    text: str
    foreseen: bool
    time: float

    @classmethod
    def of(cls, rank: int, error: BaseException) -> Self:
        foreseen = isinstance(error, CseflowError)
        text = str(error) if foreseen else f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return cls(rank, text, foreseen, time.time())

    def note(self, folder: Path) -> None:
        """Leave it in `folder` for `cause`."""
        with written_whole(folder / _FAILURE.format(self.rank)) as aside:
            aside.write_text(json.dumps(asdict(self)))

    @classmethod
    def cause(cls, folder: Path) -> Self | None:
        """The failure that the others follow from: a foreseen one, else the first; None where none was noted."""
        noted = [cls(**json.loads(path.read_text())) for path in folder.glob(_FAILURE.format("*"))]
        return min(noted, key=lambda failure: (not failure.foreseen, failure.time), default=None)
