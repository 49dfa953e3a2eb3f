"""What was answered, on disk before anything else is done with it: append-only JSON lines that outlive a kill."""

import fcntl
import json
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from components.config.synthesis import Price
from components.errors import DataError
from components.synthesis.backends import Answer

FIELDS = {"key": str, "text": str, "prompt_tokens": int, "completion_tokens": int}


class Spent(NamedTuple):
    """What answers have cost."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def plus(self, requests: int, prompt_tokens: int, completion_tokens: int) -> "Spent":
        return Spent(
            self.requests + requests,
            self.prompt_tokens + prompt_tokens,
            self.completion_tokens + completion_tokens,
        )

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def money(self, price: Price) -> float:
        return (self.prompt_tokens * price.prompt + self.completion_tokens * price.completion) / 1e6


class Ledger:
    """The answers in the file `path`, by the keys of their requests; opening an existing one goes on with it.

    A last line that a kill has torn is cut off. One process at a time holds a ledger. In memory is a key's place alone.

    Raises:
        DataError: another process holds it, or a line other than the last is no answer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spent = Spent()
        self._places: dict[str, int] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise DataError(f"{path} is being written by another process; let it finish, or stop it") from None
        try:
            self._read()
        except DataError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def find(self, key: str) -> Answer | None:
        """The answer to the request `key`, if there is one."""
        if key not in self._places:
            return None
        with self.path.open("rb") as lines:
            lines.seek(self._places[key])
            record = json.loads(lines.readline())
        return Answer(*(record[name] for name in FIELDS))

    def add(self, answer: Answer, **more: Any) -> None:
        """Write an answer, with `more` to read it by, to the disk.

        Raises:
            DataError: the disk is full, or fails.
        """
        line = json.dumps(answer._asdict() | more, ensure_ascii=False).encode() + b"\n"
        place = self._file.seek(0, 2)
        try:
            written = self._file.write(line)
        except OSError as error:
            raise DataError(f"{self.path} can't be written ({error.strerror}); make room, and run again") from None
        if written != len(line):
            self._file.truncate(place)
            raise DataError(f"{self.path} can't be written, the disk is full; make room, and run again")
        self._take_in(answer, place)

    def _read(self) -> None:
        whole = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    record = json.loads(line)
                    fits = isinstance(record, dict) and all(isinstance(record.get(k), t) for k, t in FIELDS.items())
                except ValueError:
                    fits = False
                if not fits:
                    raise DataError(f"{self.path}, line {number}: no answer; repair the line or remove it")
                self._take_in(Answer(*(record[name] for name in FIELDS)), whole)
                whole += len(line)
        self._file.truncate(whole)

    def _take_in(self, answer: Answer, place: int) -> None:
        self._places.setdefault(answer.key, place)
        self.spent = self.spent.plus(1, answer.prompt_tokens, answer.completion_tokens)
