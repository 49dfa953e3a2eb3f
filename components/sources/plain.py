"""`https://…` and `file://…`: bytes taken as they are."""

import logging
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from components.errors import DataError, UnreachableError
from components.text import well_formed

if TYPE_CHECKING:
    import requests

TIMEOUT = 60  # seconds without an answer


def fetch_https(uri: str, into: Path) -> Path:
    """Download one file into the folder `into`; a broken download starts anew, a redirect to http is refused."""
    import pooch
    import requests

    target = into / PurePosixPath(unquote(urlsplit(uri).path)).name
    pooch.get_logger().setLevel(logging.WARNING)
    download = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT, hooks={"response": _stay_encrypted})
    try:
        pooch.retrieve(uri, None, fname=target.name, path=into, downloader=download)
    except (requests.RequestException, OSError) as error:
        raise (UnreachableError if _may_pass(error) else DataError)(
            f"{uri}: could not be downloaded ({error}); check the address and the network, then run the same command "
            "again"
        ) from None
    return target


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later: the network, or a server that is busy or broken just now."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in (408, 425, 429) or error.response.status_code >= 500
    return isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError)


def _stay_encrypted(response: "requests.Response", **_: Any) -> None:
    """Refuse to leave https: what comes unencrypted can be altered on its way."""
    import requests

    if response.is_redirect and not (to := urljoin(response.url, response.headers["location"])).startswith("https://"):
        raise requests.exceptions.InvalidSchema(f"it redirects to {to}, which is not https")


def fetch_file(uri: str, into: Path) -> Path:
    """Copy a file or folder of this machine into the folder `into`.

    In a folder, a link to a file below it is copied as that file. Links that lead elsewhere, links to folders and what
    is neither file nor folder are refused.
    """
    given = Path(unquote(uri.removeprefix("file://")))
    try:
        if given.is_dir():
            _check_folder(uri, given, into)
            return Path(shutil.copytree(given, into, dirs_exist_ok=True, copy_function=shutil.copyfile))
        if given.exists() and not given.is_file():
            raise DataError(f"{uri}: it is neither a file nor a folder")
        return Path(shutil.copyfile(given, into / given.name))
    except OSError as error:
        raise DataError(f"{uri}: can't be copied ({error.strerror or error})") from None


def _check_folder(uri: str, given: Path, into: Path) -> None:
    root = given.resolve()
    if into.resolve().is_relative_to(root):
        raise DataError(f"{uri}: it contains data/sources, so the copy would hold the copy; name another folder")
    for around, folders, files in os.walk(given):
        for path in [Path(around, name) for name in [*folders, *files]]:
            if well_formed(str(path)) != str(path):
                raise DataError(f"{uri}: the name {path.name!r} is not valid UTF-8; rename it")
            if path.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(root)):
                raise DataError(
                    f"{uri}: {path} is a link that leads outside of the folder, to a folder or to nothing; replace it "
                    "by what it should hold (`cp -rL` copies a folder so)"
                )
            if not (path.is_file() or path.is_dir()):
                raise DataError(f"{uri}: {path} is neither a file nor a folder; remove it")
