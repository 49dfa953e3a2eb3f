"""A small Hugging Face hub on loopback: what `hf_hub_download` and `snapshot_download` ask of one."""

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

COMMIT = "c0ffee00" * 5
Repositories = Mapping[str, Mapping[str, bytes]]  # models/OWNER/NAME or datasets/OWNER/NAME → path → content


class HubServer:
    """`with HubServer(repositories) as hub:` serves them at `hub.url`, in the revisions main, v1 and any commit."""

    def __init__(self, repositories: Repositories) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(repositories))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def environment(url: str, home: str) -> dict[str, str]:
    """Under which the hub's client asks the hub at `url`, and keeps its cache in `home`."""
    proxies = {"no_proxy": "*", "HF_HUB_OFFLINE": "0"}
    return {"HF_ENDPOINT": url, "HF_HOME": home, "HF_HUB_DISABLE_XET": "1", **proxies}


def _handler(repositories: Repositories) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.split("?")[0].removeprefix("/")
            for repository, files in repositories.items():
                plain = repository.removeprefix("models/")
                if path.startswith((f"api/{repository}/revision/", f"api/{repository}/tree/")):
                    revision = path.split("/")[5]
                    tree = [{"type": "file", "path": name, "size": len(files[name]), "oid": name} for name in files]
                    siblings = [{"rfilename": name} for name in files]
                    info = {"id": plain, "sha": _commit(revision), "siblings": siblings}
                    found = json.dumps(info if "/revision/" in path else tree).encode()
                    return self.answer(found if _known(revision) else None, "application/json")
                if path.startswith(f"{plain}/resolve/"):
                    revision, name = path.removeprefix(f"{plain}/resolve/").split("/", 1)
                    return self.answer(files.get(name), "application/octet-stream", _commit(revision))
            return self.answer(None, "text/plain")

        def answer(self, content: bytes | None, kind: str, commit: str = COMMIT) -> None:
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{hashlib.sha1(content or b"").hexdigest()}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _known(revision: str) -> bool:
    return revision in {"main", "v1"} or len(revision) == 40


def _commit(revision: str) -> str:
    return revision if len(revision) == 40 else COMMIT
