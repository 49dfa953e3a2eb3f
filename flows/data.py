"""`data`: every data set, made by DVC; where a Dask cluster is set, its workers make corpus and views by shards."""

import json
import os
import subprocess
import sys
from pathlib import Path

from prefect import flow, task
from prefect.futures import wait
from prefect_dask import DaskTaskRunner

from components.augmentation.shards import ViewShards, view_shards
from components.config import Params, load_params
from components.corpus.shards import Shard, shards_of
from components.errors import DataError
from components.paths import CORPUS, SOURCES, VIEWS

SHARDS_PER_TASK = 64  # of a view: a million sentences


@flow(name="data")
def data(profile: str | None = None) -> None:
    """Run `dvc repro`, or under another profile `dvc exp run`; what is up to date is not made again.

    Where `dask.scheduler` is set, its workers make the shards of corpus and views, and DVC's stages, which find them
    finished, only put them together. The workers must see this folder, under the same path.

    Raises:
        DataError: a stage failed; its own message stands above.
    """
    scheduler = load_params(profile=profile).dask.scheduler
    if scheduler is not None:
        _dvc(profile, "fetch")
        on_dask.with_options(task_runner=workers(scheduler))()  # type: ignore[arg-type]  # its futures are Dask's
    _dvc(profile)


@flow(name="shards")
def on_dask() -> None:
    """The stages corpus, tokens and augmentation, their shards as tasks."""
    params, root = load_params(), Path.cwd()
    if _stale("corpus"):
        shards = shards_of(root / SOURCES / "corpus", root / CORPUS, params.corpus, params.seed)
        wait([corpus_shard.submit(shard) for shard in shards])
    _dvc(None, "corpus")
    identity = params.augmentation.identity
    if _stale("tokens"):
        _views([identity], params, root)
    _dvc(None, "tokens")
    stale = _stale("augmentation")
    _views([name for name in params.augmentation.views if f"augmentation@{name}" in stale], params, root)
    _dvc(None, "augmentation")


@task(name="corpus shard", task_run_name="corpus {shard.source.name}")
def corpus_shard(shard: Shard) -> None:
    """Clean one file of the source."""
    shard.make(cores=1, progress=False)


@task(name="view shards", task_run_name="{shards.name} from shard {indices[0]}")
def some_view_shards(shards: ViewShards, indices: list[int]) -> None:
    """Make some shards of a view."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a worker has one core
    for index in indices:
        shards.make(index)


def _views(names: list[str], params: Params, root: Path) -> None:
    """Make the shards of the views `names`, of both splits."""
    futures = []
    for name in names:
        for split in ("train", "heldout"):
            shards = view_shards(
                name,
                params,
                corpus=root / CORPUS / f"{split}.parquet",
                sources=root / SOURCES,
                views=root / VIEWS / split,
            )
            for first in range(0, len(shards), SHARDS_PER_TASK):
                indices = list(range(first, min(first + SHARDS_PER_TASK, len(shards))))
                futures.append(some_view_shards.submit(shards, indices))
    wait(futures)


def workers(scheduler: str) -> DaskTaskRunner:
    """Those of `dask.scheduler`."""
    if scheduler != "local":
        return DaskTaskRunner(address=scheduler)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return DaskTaskRunner(cluster_kwargs={"n_workers": cores, "threads_per_worker": 1, "dashboard_address": None})


def _dvc(profile: str | None, *stages: str) -> None:
    command = ["repro"] if profile is None else ["exp", "run", "--set-param", f"profile={profile}"]
    if subprocess.run([sys.executable, "-m", "dvc", *command, *stages], check=False).returncode:
        raise DataError("a data stage failed, see its message above; what was finished is kept")


def _stale(stage: str) -> set[str]:
    """Of a stage, or a group of stages, those that `dvc repro` would run."""
    command = [sys.executable, "-m", "dvc", "status", "--json", stage]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"dvc status {stage} failed: {' '.join(done.stderr.split())[-300:]}")
    return set(json.loads(done.stdout or "{}"))
