"""`hf://datasets/OWNER/NAME[@REV][/path]` and `hf://models/OWNER/NAME[@REV][/path]`: the Hugging Face hub.

Downloads go through the hub's own cache, which resumes broken ones and serves what it has without a network. Without a
sha256 a revision that names a commit is the pin; a branch is what it was at the first fetch.
"""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from components.config.sources import HUB
from components.errors import DataError, UnreachableError

# Of a model: configuration, tokenizer and safetensors; never a pickle, nor the same weights for another runtime.
MODEL_FILES = ["*.json", "*.txt", "*.md", "*.model", "*.jinja", "*.safetensors"]
OTHER_RUNTIMES = ["onnx/*", "openvino/*", "coreml/*"]


def fetch_hub(uri: str, into: Path) -> Path:
    """Copy a file, a folder or a whole repository of the hub into the folder `into`."""
    form = HUB.fullmatch(uri)
    if form is None:
        raise ValueError(uri)  # section `sources` takes none such
    kind, repo, path = form["kind"], form["repo"], form["path"] or ""
    revision = unquote(form["revision"]) if form["revision"] else None
    if path and not path.endswith("/"):
        target = _file(uri, kind, repo, revision, path, into)
    else:
        target = _folder(uri, kind, repo, revision, path, into)
    if not any(into.iterdir()):
        raise DataError(f"{uri}: the hub has nothing there; check the path and the revision")
    if kind == "model" and target == into and not any(into.rglob("*.safetensors")):
        raise DataError(
            f"{uri}: it has no safetensors, and pickled weights are never loaded; name a revision with them"
        )
    return target


def _file(uri: str, kind: str, repo: str, revision: str | None, path: str, content: Path) -> Path:
    from huggingface_hub import hf_hub_download

    with _refusals(uri):
        cached = hf_hub_download(repo, path, repo_type=kind, revision=revision)
    return Path(shutil.copyfile(cached, content / PurePosixPath(path).name))


def _folder(uri: str, kind: str, repo: str, revision: str | None, path: str, content: Path) -> Path:
    from huggingface_hub import snapshot_download

    wanted = [path + pattern for pattern in (MODEL_FILES if kind == "model" else ["*"])]
    ignored = OTHER_RUNTIMES if kind == "model" else []
    with _refusals(uri):
        root = Path(
            snapshot_download(repo, repo_type=kind, revision=revision, allow_patterns=wanted, ignore_patterns=ignored)
        )
    for cached in sorted((root / path).rglob("*")):
        # The cache may hold more of the snapshot, from other uses of it.
        name = cached.relative_to(root).as_posix()
        allowed = any(fnmatch(name, each) for each in wanted) and not any(fnmatch(name, each) for each in ignored)
        if cached.is_file() and allowed:
            target = content / cached.relative_to(root / path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cached, target)
    return content


@contextmanager
def _refusals(uri: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the client lets through errors of several libraries, and changes them between versions
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise (UnreachableError if is_away(error) else DataError)(
            f"{uri}: the hub did not give it ({reason}); see the uri and the network, and log in by `hf auth login` if "
            "it is gated or private"
        ) from error


def is_away(error: BaseException | None) -> bool:
    """Whether a failed connection is at the bottom of it, which the client tells as a file missing from its cache."""
    while error is not None:
        # The client's HTTP library is httpx or one of its descendants, by its version.
        if isinstance(error, ConnectionError | TimeoutError | socket.gaierror) or any(
            each.__name__ == "TransportError" for each in type(error).__mro__
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
