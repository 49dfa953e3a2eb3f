"""`https://…` and `file://…`: bytes taken as they are."""

import logging
import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from components.config.sources import Source
from components.errors import ConfigError, DataError
from components.sources.digest import verify

TIMEOUT = 60  # seconds without an answer


def fetch_https(source: Source, content: Path) -> Path:
    """Download one file; a broken download starts anew."""
    import pooch
    import requests

    name = PurePosixPath(unquote(urlsplit(source.uri).path)).name
    if not name:
        raise ConfigError(f"{source.uri}: the path of an https source ends in a file's name")
    pooch.get_logger().setLevel(logging.WARNING)
    download = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
    try:
        target = Path(pooch.retrieve(source.uri, None, fname=name, path=content, downloader=download))
    except (requests.RequestException, OSError) as error:
        raise DataError(
            f"{source.uri}: could not be downloaded ({error}); see the address and the network, then run the same "
            "command again"
        ) from None
    verify(source, target)
    return target


def fetch_file(source: Source, content: Path) -> Path:
    """Copy a file or folder of this machine."""
    given = Path(unquote(source.uri.removeprefix("file://")))
    try:
        if given.is_dir():
            target = Path(shutil.copytree(given, content, dirs_exist_ok=True, copy_function=shutil.copyfile))
        else:
            target = Path(shutil.copyfile(given, content / given.name))
    except OSError as error:
        raise DataError(f"{source.uri}: can't be read ({error.strerror or error})") from None
    verify(source, target)
    return target
