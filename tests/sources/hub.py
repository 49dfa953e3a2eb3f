"""A small Hugging Face hub on loopback: what its client asks of one to download, and to fill a repository."""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping, MutableMapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Self

COMMIT = "c0ffee00" * 5
JSON = "application/json"
Repositories = Mapping[str, Mapping[str, bytes]]  # models/OWNER/NAME or datasets/OWNER/NAME → path → content


class HubServer:
    """`with HubServer(repositories) as hub:` serves them at `hub.url`, in the revisions main, v1 and any commit.

    Who has one of `tokens` (token → owner) may make the owner's models and write to them; `private` names those that
    are, `commits` the messages.
    """

    def __init__(self, repositories: Repositories, tokens: Mapping[str, str] | None = None) -> None:
        self.repositories = repositories
        self.private: set[str] = set()
        self.commits: list[str] = []
        handler = type("Handler", (_Uploads, _handler(repositories)), {"hub": self, "tokens": tokens or {}})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
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
                if path == f"api/{repository}":
                    return self.answer(json.dumps({"id": plain, "private": self.is_private(plain)}).encode(), JSON)
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

        def is_private(self, repository: str) -> bool:
            return False

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class _Uploads(BaseHTTPRequestHandler):
    """What writes: repositories, large files apart, commits."""

    hub: HubServer
    tokens: Mapping[str, str]
    large: ClassVar[dict[str, bytes]] = {}  # sha256 → content of files that are uploaded apart

    def is_private(self, repository: str) -> bool:
        return repository in self.hub.private

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.large[hashlib.sha256(content).hexdigest()] = content
        self.say(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        owner = self.tokens.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))
        path = self.path.split("?")[0].removeprefix("/").removeprefix("api/")
        if path == "validate-yaml":
            return self.say(200, {"errors": [], "warnings": []})
        if owner is None:
            return self.say(401, {"error": "Invalid username or password."})
        if path == "repos/create":
            asked = json.loads(body)
            repository = f"{asked['organization']}/{asked['name']}"
            if asked["organization"] != owner:
                return self.say(403, {"error": "You don't have the rights to create a model under this namespace"})
            if f"models/{repository}" in self.hub.repositories:
                url = f"{self.hub.url}/{repository}"
                return self.say(409, {"error": "You already created this model repo", "url": url})
            self.hub.repositories[f"models/{repository}"] = {}  # type: ignore[index]
            self.hub.private |= {repository} if asked.get("private") or asked.get("visibility") == "private" else set()
            return self.say(200, {"url": f"{self.hub.url}/{repository}"})
        repository = "/".join(path.removeprefix("models/").removesuffix(".git/info/lfs/objects/batch").split("/")[:2])
        if repository.split("/")[0] != owner:
            return self.say(403, {"error": "Forbidden"})
        if path.endswith("/preupload/main"):
            files = [{"path": each["path"], "shouldIgnore": False} for each in json.loads(body)["files"]]
            for each in files:
                each["uploadMode"] = "lfs" if str(each["path"]).endswith(".safetensors") else "regular"
            return self.say(200, {"files": files})
        if path.endswith("/objects/batch"):
            upload = {"upload": {"href": f"{self.hub.url}/upload"}}
            objects = [each | {"actions": upload} for each in json.loads(body)["objects"]]
            return self.say(200, {"transfer": "basic", "objects": objects})
        if path.endswith("/commit/main"):
            self.commit(self.hub.repositories[f"models/{repository}"], body)  # type: ignore[arg-type]
            return self.say(200, {"commitUrl": f"{self.hub.url}/{repository}/commit/{COMMIT}", "commitOid": COMMIT})
        return self.say(404, {"error": f"no {path} here"})

    def commit(self, files: MutableMapping[str, bytes], body: bytes) -> None:
        for line in body.splitlines():
            step = json.loads(line)
            value = step["value"]
            match step["key"]:
                case "header":
                    self.hub.commits.append(value["summary"])
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.large[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]

    def say(self, status: int, told: dict[str, object]) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _known(revision: str) -> bool:
    return revision in {"main", "v1"} or len(revision) == 40


def _commit(revision: str) -> str:
    return revision if len(revision) == 40 else COMMIT
