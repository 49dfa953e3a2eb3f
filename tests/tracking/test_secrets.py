"""Passwords and keys reach nothing that is written, logged or shown."""

import base64
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from server import Server, free_port

from components.errors import CseflowError
from components.secrets import without_secrets
from components.tracking import registry
from components.tracking.delivery import Delivery, deliver
from components.tracking.journal import DatasetVersion, Journal
from components.tracking.runs import load_result, run_url
from components.tracking.store import connect, shown_uri

PASSWORD, KEY = "geheim-4711", "sk-geheim-0815"


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment, and no trace of MLflow's own variables afterwards."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")


def with_password(uri: str) -> str:
    return uri.replace("://", f"://me:{PASSWORD}@")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git clone https://me:pw@host/a.git failed", "git clone https://***@host/a.git failed"),
        ("postgresql+psycopg2://me:p%40w@host:5432/mlflow", "postgresql+psycopg2://***@host:5432/mlflow"),
        (f"401: no such key {KEY}", "401: no such key ***"),
        ("models:/cse-encoder@champion", "models:/cse-encoder@champion"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
    ],
)
def test_what_is_secret_in_a_text(text: str, shown: str) -> None:
    assert without_secrets(text) == shown and str(CseflowError(text)) == shown


def test_a_run_writes_no_secret_anywhere(
    server: Server,
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", with_password(f"http://127.0.0.1:{free_port()}"))
    folder = tmp_path / "runs" / "a"
    source = with_password("https://example.org/corpus.txt")
    shown = [shown_uri()]
    with Journal(folder) as journal, Delivery(folder):  # to a server that is dead
        own = {"cse.source": source, "cse.key": f"Bearer {KEY}"}
        journal.start("a", "secrets", tags=own, params={"uri": source}, datasets=[DatasetVersion("c", "0", source)])
        journal.metrics({"sts/STSB": 80.0}, 1)
        journal.model(tiny_encoder)
        journal.finish()
    with pytest.raises(CseflowError) as refused:
        deliver(folder)
    shown.append(str(refused.value))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", with_password(server.uri))
    run_id = str(deliver(folder).run_id)
    registry.promote("secrets", run_id, report_markdown=without_secrets(source))
    shown += [str(run_url(run_id)), repr(load_result(run_id)), caplog.text]
    with pytest.raises(CseflowError) as refused:
        load_result("0" * 32)
    shown.append(str(refused.value))
    for secret in (PASSWORD, KEY):
        assert not [text for text in shown if secret in text]
        for place in (tmp_path, server.folder):
            assert not [path for path in place.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str | None]]]:
    """The address of a server that answers anything with an empty object, and the Authorization of each request."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({}).encode())

        do_GET = do_POST = _answer

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", seen
        http.shutdown()


def test_the_server_is_given_user_and_password(
    asked: tuple[str, list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, seen = asked
    monkeypatch.setenv("MLFLOW_TRACKING_URI", with_password(uri))
    connect()
    assert seen[-1] == "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
