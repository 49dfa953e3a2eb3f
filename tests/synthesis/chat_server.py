"""A server of the OpenAI chat API on loopback that does what a test tells it to, well or badly."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self


class Call(NamedTuple):
    """One request as it came; `number` counts them from 0, `at` is in seconds of the monotonic clock."""

    number: int
    at: float
    path: str
    headers: dict[str, str]  # names in lower case
    content: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.content)

    @property
    def asked(self) -> str:
        """The last message's text."""
        return self.body["messages"][-1]["content"]


class Reply(NamedTuple):
    """What is sent back after `delay` seconds; `cut`: the connection ends in the middle of the body, or before it."""

    content: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    delay: float = 0.0
    cut: bool = False


def said(text: str | None, *, usage: bool = True, delay: float = 0.0, finish: str = "stop", **message: Any) -> Reply:
    """A well-formed answer; more of the message's fields by keyword. It always counts 7 and 3 tokens."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text} | message, "finish_reason": finish}
    body: dict[str, Any] = {"id": "chatcmpl-0", "object": "chat.completion", "model": "fake", "choices": [choice]}
    if usage:
        body["usage"] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return Reply(json.dumps(body).encode(), delay=delay)


def refused(status: int, message: str = "no", *, headers: dict[str, str] | None = None, **error: Any) -> Reply:
    """An error as the API words it; more of the error's fields by keyword."""
    return Reply(json.dumps({"error": {"message": message} | error}).encode(), status, headers or {})


class ChatServer:
    """Answers each `Call` by `behave`, from a thread of its own; `calls` holds them in the order they came.

    Attributes:
        port: on 127.0.0.1; a free one if 0 was asked for.
        most_in_flight: the highest number of requests that were unanswered at one time.
        dropped: how many connections the client closed before their answer was sent.
    """

    def __init__(self, behave: Callable[[Call], Reply], port: int = 0) -> None:
        self.behave = behave
        self.port = port
        self.calls: list[Call] = []
        self.most_in_flight = self.dropped = self._in_flight = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), name="chat server")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def serve(self) -> None:
        """Until `__exit__`; several connections at a time, each kept for many requests."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                call = await self._read(reader)
                self._in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self._in_flight)
                try:
                    reply = self.behave(call)
                    if reply.delay and not await self._waited(reply.delay, reader):
                        return
                finally:
                    self._in_flight -= 1
                head = f"HTTP/1.1 {reply.status} -\r\ncontent-length: {len(reply.content)}\r\n"
                head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
                head += "content-type: application/json\r\n\r\n"
                if reply.cut:
                    writer.write(head.encode() + reply.content[: len(reply.content) // 2] if reply.content else b"")
                    return
                writer.write(head.encode() + reply.content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client went away between two requests
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Call:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        call = Call(len(self.calls), time.monotonic(), first.split()[1], headers, content)
        self.calls.append(call)
        return call

    async def _waited(self, seconds: float, reader: asyncio.StreamReader) -> bool:
        """False if the client closed the connection meanwhile; it sends nothing while it waits for an answer."""
        try:
            await asyncio.wait_for(reader.read(1), seconds)
        except TimeoutError:
            return True
        self.dropped += 1
        return False
