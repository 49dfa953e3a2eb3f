"""Errors meant for the user: one sentence that says what is wrong and what to do."""

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from components.secrets import without_secrets


class CseflowError(Exception):
    """A foreseen failure. Its text is shown to the user as it stands, without a traceback and without secrets."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*(without_secrets(part) if isinstance(part, str) else part for part in parts))


class ConfigError(CseflowError):
    """params.yaml, a profile or an argument names something unknown, ill-typed or impossible."""


class DataError(CseflowError):
    """A file is missing, broken, truncated, empty or not the one that was asked for."""


class UnreachableError(CseflowError):
    """A server or a network does not do its part; the very same may succeed later."""


class BackendError(CseflowError):
    """An LLM can't be had, or answers no more."""


BEGIN = "change to a project's folder, or begin one: clone the repository of cseflow and run `make install` in it"
INTERRUPTED = "interrupted: what was finished is kept; run the same command again to go on\n"


FULL = "error: the disk is full: make room, then run the same command again; what was finished is kept\n"
FULL_WORDS = (
    *("No space left on device", "Disk quota exceeded", "disk is full"),
    *("PytorchStreamWriter failed writing", "unexpected pos", "basic_ios::clear: iostream error"),  # torch.save's
)


def disk_is_full(error: BaseException | None) -> bool:
    """Whether a full disk, or a quota that is used up, is behind `error`, whichever library raised it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(w in str(error) for w in FULL_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


class Interrupted(KeyboardInterrupt):
    """The process was asked to end, by the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def exit_on_error(unreachable: int = 1) -> Iterator[None]:
    """Turn a `CseflowError` into one line on stderr and exit status 1, for every command and stage.

    A full disk becomes one too, and an interruption, with 128 + the signal's number. `unreachable` is the status of an
    `UnreachableError`, for who tries again.
    """
    try:
        yield
    except CseflowError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(unreachable if isinstance(error, UnreachableError) else 1) from None
    except Exception as error:
        if not disk_is_full(error):
            raise
        sys.stderr.write(FULL)
        raise SystemExit(1) from None
    except KeyboardInterrupt as error:
        sys.stderr.write(INTERRUPTED)
        raise SystemExit(128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)) from None
