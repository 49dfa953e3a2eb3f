"""What a run was made from: code, data, libraries, hardware."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML

from components.errors import DataError
from components.files import file_digest
from components.graph.plan import PLANS
from components.processes import usable_cores
from components.tracking.journal import DatasetVersion

LIBRARIES = (
    "cseflow",
    "torch",
    "transformers",
    "sentence-transformers",
    "datasets",
    "mlflow",
    "prefect",
    "dvc",
    "great-expectations",
)
UNKNOWN = "unknown"


def lineage_tags(repository: Path | str = ".") -> dict[str, str]:
    """Tags that say what code, libraries and hardware a run has: `cse.git.*`, `cse.version.*`, `cse.hardware.*`.

    Without git, or outside a repository, commit and dirtiness are `unknown`; a library that isn't installed has no tag.
    """
    commit = _git(repository, "rev-parse", "HEAD")
    changes = _git(repository, "status", "--porcelain", "--untracked-files=no")
    tags = {
        "cse.git.commit": commit or UNKNOWN,
        "cse.git.dirty": UNKNOWN if changes is None else str(bool(changes)).lower(),
        "cse.version.python": platform.python_version(),
        **{f"cse.version.{name}": found for name in LIBRARIES if (found := _version(name))},
        **hardware_tags(),
    }
    if commit:
        tags["mlflow.source.git.commit"] = commit  # the one that MLflow's UI shows
    return tags


def hardware_tags() -> dict[str, str]:
    """CPU model, cores this process may use, memory in GiB, and the names of the GPUs that torch sees."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "cse.hardware.cpu": _cpu_model(),
        "cse.hardware.cores": str(usable_cores()),
        "cse.hardware.memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "cse.hardware.gpus": ", ".join(gpus) or "none",
    }


def data_versions(paths: Iterable[Path | str], lock: Path | str = "dvc.lock") -> dict[str, str]:
    """The md5 of each data set by its path, as dvc.lock has it: `….dir` for a folder.

    Within a folder that is an output, a file has the md5 of its bytes, and a folder that of its Parquet files' lines
    `md5  name`, in order of name.
    Paths are relative to the repository's root, like those in dvc.lock.

    Raises:
        DataError: there is no lock, or a path is no output of any stage in it.
    """
    lock = Path(lock)
    outs = _locked_outs(lock)
    return {str(path): _data_version(Path(path), outs, lock) for path in paths}


def data_version(lock: Path | str = "dvc.lock") -> str:
    """One digest of all data sets of dvc.lock: 32 hexadecimal digits over their paths and md5s, in order of path.

    The plans of the stages, which tell of code and parameters, are no data.

    Raises:
        DataError: there is no lock.
    """
    outs = sorted(item for item in _locked_outs(Path(lock)).items() if item[0] != PurePosixPath(PLANS))
    return hashlib.md5("".join(f"{md5}  {path}\n" for path, md5 in outs).encode(), usedforsecurity=False).hexdigest()


def dataset_versions(
    paths: Iterable[Path | str], context: str = "training", lock: Path | str = "dvc.lock"
) -> list[DatasetVersion]:
    """`data_versions` as MLflow dataset inputs; `context` is training or evaluation."""
    return [
        DatasetVersion(name=path.removeprefix("data/"), digest=digest, source=path, context=context)
        for path, digest in data_versions(paths, lock).items()
    ]


def _locked_outs(lock: Path) -> dict[PurePosixPath, str]:
    if not lock.is_file():
        raise DataError(f"{lock} is missing: run dvc repro to make the data")
    stages = YAML(typ="safe").load(lock).get("stages") or {}
    return {PurePosixPath(out["path"]): out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def _data_version(path: Path, outs: dict[PurePosixPath, str], lock: Path) -> str:
    pure = PurePosixPath(path.as_posix())
    if pure in outs:
        return outs[pure]
    output = next((folder for folder in pure.parents if folder in outs), None)
    if output is not None:
        if not path.exists():
            raise DataError(f"{path} is missing: run dvc repro (or dvc checkout) to bring the data back")
        return _folder_version(path) if path.is_dir() else file_digest(path, "md5")
    raise DataError(f"{path} is no output of a stage in {lock}: run dvc repro, and name what dvc.yaml names")


def _folder_version(folder: Path) -> str:
    lines = "".join(f"{file_digest(path, 'md5')}  {path.name}\n" for path in sorted(folder.glob("*.parquet")))
    return hashlib.md5(lines.encode(), usedforsecurity=False).hexdigest() + ".dir"


def _git(repository: Path | str, *arguments: str) -> str | None:
    """What git prints, None if there is no git, no repository, or no answer."""
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine() or UNKNOWN
