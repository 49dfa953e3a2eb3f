"""Answers that an earlier run recorded, given again without asking anybody."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from components.config.synthesis import Replay
from components.errors import BackendError, DataError
from components.synthesis.backends import FIELDS, Answer, Request

REQUIRED = (*FIELDS, "model")


class ReplayBackend:
    """The recorded answers of a file, or of all the files of a folder; `model` is the one that gave them.

    A record is a line of JSON with at least key, text, model, prompt_tokens and completion_tokens. Of a key that is
    there twice the first counts, as when it was recorded. A last line that broke off (its run was killed) is passed
    over.

    Raises:
        DataError: nothing is recorded there, a line is no record, or several models answered.
    """

    name = "replay"

    def __init__(self, settings: Replay) -> None:
        self._path = Path(settings.path)
        self._records: dict[str, tuple[Path, int]] = {}  # where a record is: all of a night's would fill the memory
        models: set[str] = set()
        files = sorted(self._path.glob("*.jsonl")) if self._path.is_dir() else [self._path]
        for file in files:
            for offset, record in _records(file):
                self._records.setdefault(record["key"], (file, offset))
                models.add(record["model"])
        if not self._records:
            raise DataError(f"{self._path} holds no answers; let synthesis.replay.path name those of an earlier run")
        if len(models) > 1:
            raise DataError(f"{self._path} holds answers of several models, {', '.join(sorted(models))}; keep one's")
        (self.model,) = models

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """The recorded answer to each request, in order.

        Raises:
            BackendError: one was never recorded.
        """
        for request in requests:
            if request.key not in self._records:
                raise BackendError(
                    f"{self._path} has no answer to request {request.key!r} among its {len(self._records):,} of "
                    f"{self.model}; replay under the sentences, prompt, exemplars, seed and sampling of the recorded "
                    "run, or set synthesis.backend to the one that can answer"
                )
            file, offset = self._records[request.key]
            with file.open("rb") as lines:
                lines.seek(offset)
                answer = Answer.recorded(json.loads(lines.readline()))
            assert answer is not None  # the line was read before
            yield answer


def _records(file: Path) -> Iterator[tuple[int, dict]]:
    """Each record with its place in the file, in bytes."""
    try:
        lines = file.open("rb")
    except OSError as error:
        raise DataError(f"{file} can't be read ({error.strerror}); correct synthesis.replay.path") from None
    offset = 0
    with lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                fits = Answer.recorded(record) is not None and isinstance(record.get("model"), str)
            except ValueError:
                if not line.endswith(b"\n"):
                    return
                fits = False
            if not fits:
                raise DataError(f"{file}, line {number}: not a recorded answer with {', '.join(REQUIRED)}")
            yield offset, record
            offset += len(line)
