"""`data`: every data set, made by DVC."""

import subprocess
import sys

from prefect import flow

from components.errors import DataError


@flow(name="data")
def data(profile: str | None = None) -> None:
    """Run `dvc repro`, or under another profile `dvc exp run`; what is up to date is not made again.

    Raises:
        DataError: a stage failed; its own message stands above.
    """
    command = ["repro"] if profile is None else ["exp", "run", "--set-param", f"profile={profile}"]
    if subprocess.run([sys.executable, "-m", "dvc", *command], check=False).returncode:
        raise DataError("a data stage failed, see its message above; what was finished is kept")
