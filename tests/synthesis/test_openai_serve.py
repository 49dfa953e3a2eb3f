"""The openai backend against a real server: `transformers serve` with the embedded profile's LLM, on loopback.

It takes minutes, so that it waits to be asked for:

    CSEFLOW_CHAT_SERVER=1 python -m pytest tests/synthesis/test_openai_serve.py
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.config.synthesis import OpenAi, Sampling
from components.errors import BackendError
from components.paths import SOURCES
from components.synthesis.backends import Request
from components.synthesis.backends.openai import OpenAiBackend

pytestmark = pytest.mark.skipif("CSEFLOW_CHAT_SERVER" not in os.environ, reason="set CSEFLOW_CHAT_SERVER=1")
SENTENCES = ["The boat reached the island before the storm.", "Her father taught music in a small town."]
SCHEMA = {
    "type": "object",
    "properties": {"positive": {"type": "string"}},
    "required": ["positive"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model() -> str:
    from components.synthesis.backends.local.folder import model_folder

    return str(model_folder(SOURCES / "llm").resolve())


@pytest.fixture(scope="module")
def url(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", model]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    written = tmp_path_factory.mktemp("serve") / "server.log"
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    with written.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=offline)
    try:
        deadline = time.monotonic() + 180
        while True:
            assert server.poll() is None and time.monotonic() < deadline, written.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(20)


def test_answers_every_request(url: str, model: str) -> None:
    settings = OpenAi(base_url=url, model=model, concurrency=2, timeout=120)
    requests = [
        Request(f"key {i}", (("system", "Rewrite the sentence in other words."), ("user", sentence)), i)
        for i, sentence in enumerate(SENTENCES * 4)
    ]
    answers = list(OpenAiBackend(settings, Sampling(max_tokens=48), SCHEMA).answers(requests))
    assert sorted(answer.key for answer in answers) == [request.key for request in requests]
    assert all(answer.text.strip() and answer.prompt_tokens > 10 and answer.completion_tokens > 0 for answer in answers)


def test_another_model_is_refused(url: str) -> None:
    settings = OpenAi(base_url=url, model="no/such-model", retries=0)
    with pytest.raises(BackendError, match="Server is pinned"):
        list(OpenAiBackend(settings, Sampling()).answers([Request("key", (("user", "question"),), 0)]))
