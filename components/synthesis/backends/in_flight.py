"""Many items worked on at a time by coroutines in a thread of their own, behind a plain iterator."""

import asyncio
import gc
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_flight(
    opened: Callable[[], AbstractAsyncContextManager[Callable[[T], Awaitable[R]]]], items: Iterable[T], limit: int
) -> Iterator[R]:
    """The result of each item, as soon as it is known, with up to `limit` items under way.

    `opened()` is entered in the thread and gives the coroutine function that does the work. Items are taken in the
    caller's thread, one for each result that the caller has come back from. Closing the iterator cancels what is under
    way and waits for the thread's end. (A thread, so that it works beside a running event loop, as in a notebook.)

    Raises:
        Exception: whatever the work on an item raised; what was finished before is given first.
    """
    finished: SimpleQueue[R | BaseException] = SimpleQueue()
    taken: deque[T] = deque()
    started: Future[tuple[Callable[[], None], Callable[[], None]]] = Future()

    async def finish(work: Callable[[T], Awaitable[R]], item: T) -> None:
        try:
            finished.put(await work(item))
        except Exception as error:
            finished.put(error)

    async def serve() -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        async with opened() as work:

            def take() -> None:
                while taken:
                    task = loop.create_task(finish(work, taken.popleft()))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)

            started.set_result((lambda: _call(loop, take), lambda: _call(loop, stopped.set)))
            await stopped.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # of `opened`: there is nobody else to tell
            if not started.done():
                started.set_exception(error)
            finished.put(error)

    thread = threading.Thread(target=run, name="in flight", daemon=True)  # a daemon: no exit waits for a lost iterator
    thread.start()
    wake, stop = started.result()
    gc.freeze()  # to look through all that was there before halts the thread, and answers pile up meanwhile
    try:
        todo, under_way = iter(items), 0
        while True:
            for item in islice(todo, limit - under_way):
                taken.append(item)
                under_way += 1
                if len(taken) == 1:  # else it is awake: to wake it costs as much as much of the work
                    wake()
            if not under_way:
                return
            result = finished.get()
            under_way -= 1
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        gc.unfreeze()
        stop()
        thread.join()


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)
