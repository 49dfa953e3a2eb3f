"""Ctrl-C and a request to end: the process is gone within seconds, whatever it was doing."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from components.errors import INTERRUPTED, Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 3.0  # after which a block that goes on, or cleans up at length, is interrupted again
END_SECONDS = 8.0  # after which the process ends as it stands


@contextmanager
def ends_on_signals() -> Iterator[None]:
    """While the block runs in the main thread, SIGINT, SIGTERM and SIGHUP end the process in at most `END_SECONDS`.

    The first raises `Interrupted` in the block, so that half-written files are removed and the run is marked. Two
    things can keep that from working: a library that calls Python from C can lose the exception, and cleaning up can
    wait for a server. So it is raised once more, and then the process ends without: all that it does can be killed at
    any moment. A signal that is ignored, as nohup has it, stays ignored.
    """
    main = threading.main_thread().ident
    assert main is not None
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    left, again, stopping = threading.Event(), threading.Event(), threading.Event()

    def watch() -> None:
        number = os.read(reader, 1)[0]
        if number == 0:
            return
        end = time.monotonic() + END_SECONDS
        if not left.wait(AGAIN_SECONDS):
            again.set()
            signal.pthread_kill(main, number)
            left.wait(END_SECONDS - AGAIN_SECONDS)
        if left.is_set():
            time.sleep(max(0.0, end - time.monotonic()))  # the interpreter ends, and this thread with it
        else:
            with suppress(OSError):  # the terminal may be gone
                os.write(2, INTERRUPTED.encode())
        os._exit(128 + number)

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set() and not again.is_set():
            return  # a second key or, from make, a second signal: the first is being acted on
        stopping.set()
        again.clear()
        raise Interrupted(number)

    def unraisable(error: "sys.UnraisableHookArgs") -> None:
        if not isinstance(error.exc_value, Interrupted):  # that a finaliser has lost: it is raised once more
            shown(error)

    shown, sys.unraisablehook = sys.unraisablehook, unraisable
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    former = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # tells `watch` even while C code runs
    threading.Thread(target=watch, daemon=True, name="ends-on-signals").start()
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(former)
        if not stopping.is_set():
            sys.unraisablehook = shown
            for number, handler in before.items():
                signal.signal(number, handler)
            os.write(writer, b"\0")
