"""A proxy in the environment, as firms set one for the whole machine: what is on this machine is asked directly."""

import asyncio
import json
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import requests
from httpx_aiohttp import HttpxAiohttpClient

from components.config.synthesis import OpenAi, Sampling
from components.processes import spare_loopback
from components.synthesis.backends import Request
from components.synthesis.backends.openai import OpenAiBackend
from components.tracking.store import connect

DEAD = "http://127.0.0.1:9"  # where no proxy listens
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
CLIENTS: dict[str, Callable[[str], Any]] = {  # those of sources, of pooch and MLflow, of Prefect, of openai
    "urllib": lambda url: urllib.request.build_opener().open(url).read(),
    "requests": lambda url: requests.get(url, timeout=10).raise_for_status(),
    "httpx": lambda url: httpx.get(url).raise_for_status(),
    "aiohttp": lambda url: asyncio.run(_by_aiohttp(url)),
}


async def _by_aiohttp(url: str) -> None:
    async with HttpxAiohttpClient(trust_env=True) as client:
        (await client.get(url)).raise_for_status()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server on loopback that answers everything like an empty MLflow or a chat API would."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            message = {"role": "assistant", "content": "A boat."}
            content = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture
def behind_a_dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, DEAD)
        monkeypatch.setenv(name.upper(), DEAD)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")


@pytest.mark.usefixtures("behind_a_dead_proxy")
@pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS)
def test_loopback_is_asked_directly(server: str, ask: Callable[[str], Any]) -> None:
    with pytest.raises((OSError, httpx.TransportError)):
        ask(server)
    spare_loopback()
    for host in ("127.0.0.1", "localhost"):
        ask(server.replace("127.0.0.1", host))


@pytest.mark.usefixtures("behind_a_dead_proxy")
def test_mlflow_on_loopback_is_reached(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert connect().search_experiments() == []


@pytest.mark.usefixtures("behind_a_dead_proxy")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_chat_server_on_loopback_is_reached(server: str, host: str) -> None:
    settings = OpenAi(base_url=server.replace("127.0.0.1", host) + "/v1", model="fake", retries=0)
    (answer,) = OpenAiBackend(settings, Sampling()).answers([Request("a", (("user", "question"),), 0)])
    assert answer.text == "A boat."


@pytest.mark.parametrize(
    ("named", "then"),
    [
        ("", "127.0.0.1,localhost,::1"),
        ("intra.example, localhost", "intra.example,localhost,127.0.0.1,::1"),
        ("*", "*"),
    ],
)
def test_what_is_spared_already_stays_so(named: str, then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", named)
    spare_loopback()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == then
    monkeypatch.setenv("no_proxy", "")  # for monkeypatch to take it away again
