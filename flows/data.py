"""`data`: every data set, made by DVC; where a Dask cluster is set, its workers make the shards that take long."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.augmentation.shards import ViewShards, finished, make_view, view_names, view_shards
from components.config import Params, load_params
from components.corpus.shards import Shard, shards_of
from components.errors import DataError, UnreachableError
from components.graph.plan import Demand
from components.paths import CORPUS, SOURCES, views_of
from components.processes import usable_cores
from components.tracking.lineage import data_version
from flows.hosted import begin
from flows.orchestration import deployed, flow, network_task, run_logger, task
from flows.parameters import Profile
from flows.steps import alone_with_dvc

if TYPE_CHECKING:
    from prefect.futures import PrefectFuture
    from prefect_dask import DaskTaskRunner

SHARDS_PER_TASK = 64  # of a view: a million sentences


@flow(name="data", flow_run_name="dvc repro")
def data(profile: Profile | None = None, push: bool = False) -> str:
    """Run `dvc repro`, or under another profile `dvc exp run`; what is up to date is not made again.

    Where `dask.scheduler` is set, its workers make the shards of corpus, views and synthesis, and DVC's stages, which
    find them finished, only put them together. The workers must see this folder, under the same path.

    Returns the data version, which `train` and `experiment` can be held to.

    Args:
        profile: of profiles/; default: the one that params.yaml names, which another one then replaces there.
        push: send the data to the DVC remote, for other hosts to pull. They need this dvc.lock too, by git.

    Raises:
        DataError: a stage failed; its own message stands above.
    """
    begin()
    scheduler = load_params(profile=profile).dask.scheduler
    command = ["repro"] if profile is None else ["exp", "run", "--set-param", f"profile={profile}"]
    with alone_with_dvc():
        if scheduler is not None:
            make([*command, "fetch"])
            on_dask.prefect.with_options(task_runner=workers(scheduler))()
        make(command)
        if push:
            make(["push"])
    run_logger().info("data version %s", data_version())
    return data_version()


@network_task("dvc")
def make(command: list[str]) -> None:
    """Run DVC; a worker passes on what it says as the run's log.

    Raises:
        UnreachableError: a push failed, or a source's server or the network was away.
        DataError: anything else failed.
    """
    whole = [sys.executable, "-m", "dvc", *command]
    if not deployed():
        if subprocess.run(whole, check=False).returncode:
            raise DataError("a data stage failed, see its message above; what was finished is kept")
        return
    said = []
    with subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                said.append(line)
                run_logger().info(line.rstrip())
    if process.returncode:
        network = command == ["push"] or f"exited with {os.EX_TEMPFAIL}" in "".join(said)
        raise (UnreachableError if network else DataError)(
            f"dvc {' '.join(command)} failed, its log says where; what was finished is kept"
        )


@flow(name="shards")
def on_dask() -> None:
    """The stages corpus, views and synthesize, their shards as tasks."""
    from prefect.futures import wait

    params, root = load_params(), Path.cwd()
    if _stale("corpus"):
        shards = shards_of(root / SOURCES / "corpus", root / CORPUS, params.corpus, params.seed)
        wait([corpus_shard.prefect.submit(shard) for shard in shards])
    make(["repro", "corpus"])
    if _stale("views"):
        _views(params, root)
    make(["repro", "views"])
    if (shares := params.dask.synthesis_shares) > 1:
        make(["repro", "nli", "sts"])
        stale = _stale("synthesize")
        patterns = [pattern for pattern in Demand.of(params).tuples if f"synthesize@{pattern}" in stale]
        asked = [
            synthesis_share.prefect.submit(root, pattern, k + 1, shares) for pattern in patterns for k in range(shares)
        ]
        wait(asked)
        for share in asked:
            share.result()  # else the stage would ask, alone and unasked, for what a failed share has not


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


@network_task("synthesis share", task_run_name="{pattern} {number}/{of}")
def synthesis_share(root: Path, pattern: str, number: int, of: int) -> None:
    """Ask for the answers of one share.

    Raises:
        DataError: its budget is spent, or the backend can answer no more.
    """
    command = [sys.executable, "-m", "components.synthesis", pattern, "--share", f"{number}/{of}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"{pattern} {number}/{of}: {done.stderr.strip().splitlines()[-1]}; what was answered is kept")
    run_logger().info(done.stdout.strip())


def _views(params: Params, root: Path) -> None:
    """Make the shards of all views that are not up to date, after the identity's, which the others are made from."""
    from prefect.futures import wait

    identity = params.augmentation.identity
    rest: list[tuple[str, Params, dict[str, Any]]] = []
    for source, needed in Demand.of(params).views.items():
        own = params.model_copy(update={"encoder": params.encoder.model_copy(update={"source": source})})
        for split in ("train", "heldout"):
            folder = root / views_of(source, params.encoder.source) / split
            places: dict[str, Any] = {
                "corpus": root / CORPUS / f"{split}.parquet",
                "sources": root / SOURCES,
                "views": folder,
            }
            wait(_shards(identity, own, places))
            make_view(identity, own, **places)  # puts them together
            rest += [(name, own, places) for name in view_names(params, source, needed, folder) if name != identity]
    wait([future for view in rest for future in _shards(*view)])


def _shards(name: str, params: Params, places: dict[str, Any]) -> "list[PrefectFuture[None]]":
    """Tasks for the shards of a view; none where it is up to date."""
    shards = view_shards(name, params, **places)
    if finished(shards, places["views"] / name) is not None:
        return []
    firsts = range(0, len(shards), SHARDS_PER_TASK)
    return [
        some_view_shards.prefect.submit(shards, list(range(first, min(first + SHARDS_PER_TASK, len(shards)))))
        for first in firsts
    ]


def workers(scheduler: str) -> "DaskTaskRunner":
    """Those of `dask.scheduler`."""
    from prefect_dask import DaskTaskRunner

    if scheduler != "local":
        return DaskTaskRunner(address=scheduler)
    local = {"n_workers": usable_cores(), "threads_per_worker": 1, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs=local)


def _stale(stage: str) -> set[str]:
    """Of a stage, or a group of stages, those that `dvc repro` would run."""
    command = [sys.executable, "-m", "dvc", "status", "--json", stage]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"dvc status {stage} failed: {' '.join(done.stderr.split())[-300:]}")
    return set(json.loads(done.stdout or "{}"))
