"""What was answered, on disk before anything else is done with it: append-only JSON lines that outlive a kill."""

import fcntl
import json
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from components.config.synthesis import Price
from components.errors import DataError
from components.synthesis.backends import Answer


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


class Share(NamedTuple):
    """Every `of`-th sentence from the `number`-th on, counted from 1: what one of `of` processes asks about."""

    number: int = 1
    of: int = 1

    @property
    def suffix(self) -> str:
        """Of its ledger's name; the whole has none."""
        return "" if self.of == 1 else f".{self.number}-of-{self.of}"


WHOLE = Share()


class Ledger:
    """The answers in `folder` to one pattern's requests, by their keys; new ones go to the file of `share`.

    A last line that a kill has torn is cut off. One process at a time holds a file, and only shares of one division may
    be at work together, for their sentences differ. In memory is a key's place alone.

    Raises:
        DataError: a process holds what it must not, or a line other than the last is no answer.
    """

    def __init__(self, folder: Path, pattern: str, share: Share = WHOLE) -> None:
        self.path = folder / f"{pattern}{share.suffix}.jsonl"
        self.spent = Spent()
        self._places: dict[str, tuple[Path, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            self._file = _locked(held, self.path, "a+", fcntl.LOCK_EX)
            for path in sorted(folder.glob(f"{pattern}*.jsonl")):
                beside = path.stem.endswith(f"-of-{share.of}") and share.of > 1
                if path != self.path and not beside:
                    _locked(held, path, "r", fcntl.LOCK_SH)
                whole = self._read(path)
                if path == self.path:
                    self._file.truncate(whole)
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._held.close()

    def find(self, key: str) -> Answer | None:
        """The answer to the request `key`, if there is one."""
        if key not in self._places:
            return None
        path, place = self._places[key]
        with path.open("rb") as lines:
            lines.seek(place)
            return Answer.recorded(json.loads(lines.readline()))

    def add(self, answer: Answer, **more: Any) -> None:
        """Write an answer, with `more` to read it by, to the disk.

        Raises:
            DataError: the disk is full, or fails.
        """
        record = {name: value for name, value in answer._asdict().items() if name != "finish" or value}
        line = json.dumps(record | more, ensure_ascii=False).encode() + b"\n"
        place = self._file.seek(0, 2)
        try:
            written = self._file.write(line)
        except OSError as error:
            raise DataError(f"{self.path} can't be written ({error.strerror}); make room, and run again") from None
        if written != len(line):
            self._file.truncate(place)
            raise DataError(f"{self.path} can't be written, the disk is full; make room, and run again")
        self._take_in(answer, self.path, place)

    def _read(self, path: Path) -> int:
        """Take a file in; its length without a torn last line."""
        whole = 0
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    answer = Answer.recorded(json.loads(line))
                except ValueError:
                    answer = None
                if answer is None:
                    raise DataError(f"{path}, line {number}: no answer; repair the line or remove it")
                self._take_in(answer, path, whole)
                whole += len(line)
        return whole

    def _take_in(self, answer: Answer, path: Path, place: int) -> None:
        self._places.setdefault(answer.key, (path, place))
        self.spent = self.spent.plus(1, answer.prompt_tokens, answer.completion_tokens)


def _locked(held: ExitStack, path: Path, mode: str, lock: int) -> FileIO:
    """The file, closed with `held`; what another process writes is refused."""
    file = held.enter_context(FileIO(path, mode))
    try:
        fcntl.flock(file, lock | fcntl.LOCK_NB)
    except OSError:
        raise DataError(f"{path} is in use by another process; let it finish, or stop it") from None
    return file
