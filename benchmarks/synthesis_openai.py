"""The openai backend at 64 requests in flight, against a server on loopback that answers each after 200 ms.

The peer is the server's own ceiling: 64 bare sockets that write a request made beforehand and read the answer's bytes.
The server runs in a process of its own, the backend's prompts are as long as the synthesis' own. Rates are those of a
run that lasts: from the answer that follows the first 64 to the one before the last 64, on both sides.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from benchmarks.harness import ROUNDS, Floor, Row, Sample, compared, interleaved, main, require
from components.config.synthesis import OpenAi, Sampling
from components.synthesis.backends import Request
from components.synthesis.backends.openai import OpenAiBackend
from tests.synthesis.chat_server import ChatServer, said

CONCURRENCY = 64
DELAY = 0.2  # seconds
ANSWERS = 60 * CONCURRENCY  # a round, about 12 s
TEXT = '{"positive": "The boat reached the island before the storm.", "negative": "The boat never left the harbour."}'
MESSAGES = tuple((role, "Rewrite the sentence that follows. " * 9) for role in ("system", *("user", "assistant") * 3))


def serve(told: Connection) -> None:
    """Until the process is ended."""
    reply = said(TEXT, delay=DELAY)
    with ChatServer(lambda call: reply) as server:
        told.send(server.port)
        told.recv()


async def bare(port: int, answers: int) -> list[float]:
    """When each answer had come whole; 64 connections, each asking again as soon as it has its answer."""
    body = b"x" * sum(len(content) for _, content in MESSAGES)
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )

    came: list[float] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(answers // CONCURRENCY):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
            came.append(time.perf_counter())
        writer.close()

    await asyncio.gather(*(ask() for _ in range(CONCURRENCY)))
    return came


def sustained(came: list[float]) -> Sample:
    """Without the beginning and the end, when fewer than 64 are in flight."""
    return Sample(len(came) - 2 * CONCURRENCY, came[-CONCURRENCY - 1] - came[CONCURRENCY - 1])


def measure(quick: bool) -> Iterator[Row]:
    answers = ANSWERS // 5 if quick else ANSWERS
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    port = here.recv()
    settings = OpenAi(base_url=f"http://127.0.0.1:{port}/v1", model="fake", concurrency=CONCURRENCY)
    backend = OpenAiBackend(settings, Sampling())
    requests = [Request(f"key {i}", (*MESSAGES, ("user", f"Sentence {i}.")), i) for i in range(answers)]

    def peer() -> Sample:
        return sustained(asyncio.run(bare(port, answers)))

    def ours() -> Sample:
        came, keys = [], set()
        for answer in backend.answers(requests):
            came.append(time.perf_counter())
            keys.add(answer.key)
        require(len(came) == len(keys) == answers, f"of {answers} answers, {len(keys)} came, {len(came)} times")
        return sustained(came)

    try:
        samples = interleaved({"peer": peer, "cseflow": ours}, rounds=3 if quick else ROUNDS)
    finally:
        server.kill()
    yield compared(
        f"openai backend, {CONCURRENCY} in flight, a server that takes {1000 * DELAY:.0f} ms",
        samples,
        peer="bare sockets",
        unit="answers/s",
        at_least=0.95,
        floor=Floor(f"{CONCURRENCY} / {DELAY} s", CONCURRENCY / DELAY),
        notes={"answers a round": answers, "characters of a prompt": sum(len(content) for _, content in MESSAGES)},
        libraries=["openai", "httpx", "aiohttp"],
    )


if __name__ == "__main__":
    main(__doc__, measure)
