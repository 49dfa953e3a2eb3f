"""What one run wants in MLflow, on disk first: append-only JSON lines that outlive a kill and a dead server.

Nothing here needs mlflow or a network, so recording costs a training step some microseconds and cannot fail it for a
reason that lies outside this machine.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from components.errors import CseflowError, DataError
from components.files import cut_torn_line
from components.secrets import without_secrets

JOURNAL = "journal.jsonl"
DELIVERY = "delivery.json"  # beside it: how far it is in MLflow
Status = Literal["FINISHED", "FAILED", "KILLED"]
Record = dict[str, Any]
_SYNC_SECONDS = 5.0  # metric points younger than this may be lost with the power, never with the process


@dataclass(frozen=True)
class DatasetVersion:
    """A data set a run has read: `digest` is DVC's md5 (`….dir` for a folder), `source` its path or URI."""

    name: str
    digest: str
    source: str
    context: str = "training"


class Journal:
    """The record of one run in `folder`/journal.jsonl; opening an existing one continues it.

    A line that a kill has torn is cut off. A metric point that is already there, by name and step, is not recorded
    again: a training that resumes from a checkpoint repeats the steps after it with identical values. The user and
    password of a URI and the values of secret variables are recorded as `***`.

    Raises:
        DataError: the journal is damaged elsewhere than in its last line.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.path = self.folder / JOURNAL
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._points: set[tuple[str, int]] = set()
        self._tags: dict[str, str] = {}
        self._started: Record | None = None
        self._status: Status | None = None
        if self.path.exists():
            cut_torn_line(self.path)
        for record, _ in records(self.path):
            self._take_in(record)
        self._file = self.path.open("ab", buffering=0)
        self._synced = time.monotonic()

    @property
    def started(self) -> bool:
        return self._started is not None

    @property
    def status(self) -> Status | None:
        """How the run ended, None while it goes on."""
        return self._status

    def start(
        self,
        name: str,
        experiment: str,
        *,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        datasets: Iterable[DatasetVersion] = (),
        parent: Path | str | None = None,
    ) -> None:
        """Open the run `name`; `params` may be nested, `parent` is the folder of the parent run's journal.

        Started already, only tags that have changed are recorded, and a run that had ended is open again.
        """
        wanted = {key: str(value) for key, value in (tags or {}).items()}
        if self._started is not None:
            changed = {key: value for key, value in wanted.items() if self._tags.get(key) != value}
            if self._status is not None:
                self._append({"kind": "resume"}, sync=True)
            if changed:
                self.tags(changed)
            return
        record = {
            "kind": "start",
            "journal": uuid.uuid4().hex,
            "name": name,
            "experiment": experiment,
            "tags": wanted,
            "params": flatten(params or {}),
            "datasets": [asdict(dataset) for dataset in datasets],
            "parent": None if parent is None else os.path.relpath(parent, self.folder),
        }
        self._append(record, sync=True)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record `values` at `step` with the time of now."""
        fresh = {key: float(value) for key, value in values.items() if (key, step) not in self._points}
        if fresh:
            self._append({"kind": "metrics", "step": int(step), "values": fresh})

    def tags(self, values: Mapping[str, str]) -> None:
        self._append({"kind": "tags", "tags": {key: str(value) for key, value in values.items()}}, sync=True)

    def artifact(self, path: Path | str, folder: str = "") -> None:
        """Record the file or folder `path` (its content is read at delivery) to lie under `folder` of the artifacts."""
        self._append({"kind": "artifact", "path": self._relative(path), "folder": folder}, sync=True)

    def model(self, path: Path | str) -> None:
        """Record the sentence-transformers folder `path` as the run's encoder."""
        self._append({"kind": "model", "path": self._relative(path)}, sync=True)

    def finish(self, status: Status = "FINISHED") -> None:
        self._append({"kind": "finish", "status": status}, sync=True)

    def close(self) -> None:
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _relative(self, path: Path | str) -> str:
        """As seen from the run's folder if within, so that the folder can be moved; absolute otherwise."""
        absolute, home = Path(path).absolute(), self.folder.absolute()
        return str(absolute.relative_to(home) if absolute.is_relative_to(home) else absolute)

    def _append(self, record: Record, *, sync: bool = False) -> None:
        if self._started is None and record["kind"] != "start":
            raise CseflowError(f"the journal in {self.folder} has not been started: call start() first")
        record = {"time": int(time.time() * 1000), **(record if record["kind"] == "metrics" else _redacted(record))}
        line = json.dumps(record, ensure_ascii=False)
        with self._lock:
            self._file.write(line.encode() + b"\n")  # one write: whole or last
            self._take_in(record)
            if sync or time.monotonic() - self._synced > _SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def _take_in(self, record: Record) -> None:
        match record["kind"]:
            case "start":
                self._started = record
                self._tags.update(record["tags"])
            case "tags":
                self._tags.update(record["tags"])
            case "metrics":
                self._points.update((key, record["step"]) for key in record["values"])
            case "finish":
                self._status = record["status"]
            case "resume":
                self._status = None


def records(path: Path, offset: int = 0) -> Iterator[tuple[Record, int]]:
    """The whole records of a journal from byte `offset` on, each with the offset of the next."""
    if not path.exists():
        return
    with path.open("rb") as handle:
        handle.seek(offset)
        for line in handle:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                record = json.loads(line)
            except ValueError:
                raise DataError(f"{path} is damaged before byte {offset}: move it away to record anew") from None
            yield record, offset


def flatten(nested: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as MLflow's flat parameters: keys joined by dots, lists of plain values as one JSON value."""
    flat: dict[str, str] = {}

    def walk(key: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for inner, item in value.items():
                walk(f"{key}.{inner}", item)
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            for place, item in enumerate(value):
                walk(f"{key}.{place}", item)
        else:
            flat[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)

    for name, value in nested.items():
        walk(str(name), value)
    return flat


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: _redacted(item) for key, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list | tuple) else value
