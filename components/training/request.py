"""What a run's processes are told, what they answer, and why one failed: files in its folder, which all nodes see."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from components.config import Params, VariantSettings, variant_settings
from components.errors import CseflowError, DataError
from components.files import written_whole
from components.training.trainer import Record

METRICS = "metrics.jsonl"  # one line a record, by the first process
_REQUEST = "request.json"
_FAILURE = "failure-{}.json"


@dataclass(frozen=True)
class Request:
    """A variant and a seed under given parameters, for processes that are started with a folder's name alone."""

    params: Params
    variant: str
    seed: int
    overrides: Mapping[str, Any]

    @property
    def settings(self) -> VariantSettings:
        return variant_settings(self.params, self.variant, self.overrides)

    def write(self, folder: Path) -> None:
        """Put it into `folder`, in place of what earlier processes have left there."""
        for stale in (METRICS, _FAILURE.format("*")):
            for path in folder.glob(stale):
                path.unlink()
        with written_whole(folder / _REQUEST) as aside:
            aside.write_text(json.dumps({**self.__dict__, "params": self.params.model_dump(mode="json")}))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises DataError where there is none."""
        try:
            told = json.loads((folder / _REQUEST).read_text())
        except FileNotFoundError:
            raise DataError(f"{folder} holds no {_REQUEST}; name the folder that `cseflow train` said") from None
        return cls(**told | {"params": Params.model_validate_json(json.dumps(told["params"]))})


class MetricsFile:
    """A `components.training.trainer.Record` that appends to `folder`/metrics.jsonl, each record by one write."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / METRICS).open("ab", buffering=0)

    def __call__(self, values: Mapping[str, float], step: int) -> None:
        self._file.write(json.dumps({"values": dict(values), "step": step}).encode() + b"\n")


class MetricsReader:
    """Passes on what has been appended to `folder`/metrics.jsonl since it was last asked."""

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
