"""`experiment`: any variants × seeds trained, compared and judged by the gate."""

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from components import paths
from components.config import Params, variant_settings
from components.config.base import Seed
from components.config.command import command_params
from components.errors import ConfigError, CseflowError
from components.graph.fresh import require_fresh
from components.runs.run import Run
from components.tracking import tags
from components.tracking.delivery import deliver
from components.tracking.journal import Journal
from components.tracking.lineage import data_version as data_version_here
from components.tracking.lineage import lineage_tags
from flows.compare import compare, show_leaderboard
from flows.hosted import begin, link_to_mlflow, links, require_data, require_data_version
from flows.orchestration import deployed, flow, network_task, run_logger
from flows.parameters import DataVersion, Profile, Setting, Variant
from flows.promote import Promotion, promote
from flows.train import find_finished, train

if TYPE_CHECKING:
    from prefect import State

_LOOK = 3.0  # seconds between looks at the runs that workers do
_PATIENCE = timedelta(minutes=2)  # after which a crashed run is taken for lost


@dataclass(frozen=True)
class Outcome:
    """What an experiment came to; `failed` maps a run's name to what went wrong."""

    runs: list[str]
    failed: dict[str, str]
    page: Path
    gate: Promotion


@flow(name="experiment")
def experiment(
    variants: list[Variant] | None = None,
    seeds: list[Seed] | None = None,
    profile: Profile | None = None,
    data_version: DataVersion | None = None,
    force: bool = False,
    fail_on_gate: bool = False,
    settings: list[Setting] | None = None,
) -> Outcome:
    """Train what isn't trained yet, compare all, and judge the best by the gate.

    A worker hands the training to the pool `gpu`, as many runs at a time as that has workers.

    Args:
        variants: entries of `variants` in params.yaml; default: `experiment.variants`. The reference is added.
        seeds: default: `experiment.seeds`. A variant that is not trained runs with the first alone.
        profile: of profiles/; default: the one that params.yaml names. The data must have been made under it.
        data_version: what `cseflow status` calls the data version; a host with other data stops. Default: this host's.
        force: train even what is done already.
        fail_on_gate: mark the flow failed where the gate does not pass.
        settings: keys of params.yaml to replace for this experiment, KEY=VALUE each; `variants.*` stands for every one
            of its variants.
    """
    begin()
    log = run_logger()
    params, variants, settings = command_params(variants, settings, profile)
    names = list(dict.fromkeys([params.experiment.reference, *variants]))
    runs = [Run(params, name, seed, {}) for name in names for seed in seeds_of(params, name, seeds)]
    require_data_version(data_version)
    require_fresh(params, names)
    if deployed():
        require_data(path for run in runs for path in [*run.training_data, *run.evaluation_data])
    parent, finished = _open_parent(runs)
    options = {"force": force, "profile": profile, "settings": settings}
    done, failed = _by_workers(runs, parent, options) if deployed() else _here(runs, parent, options)
    for name, why in failed.items():
        log.error("%s failed: %s", name, why)
    if not done:
        raise CseflowError("no run succeeded: " + "; ".join(f"{name}: {why}" for name, why in failed.items()))
    gate = promote(done, profile=profile, settings=settings)
    page = paths.REPORTS / parent.name / "index.html"
    parent_run = deliver_parent(parent).run_id
    # Always: rules, verdict and champion can change where no run does.
    compare(done, into=page.parent, log_to=parent_run, verdict=gate.report, profile=profile, settings=settings)
    if not finished:
        with Journal(parent) as journal:
            journal.finish("FAILED" if failed else "FINISHED")
        deliver_parent(parent)
    if deployed():  # with this run too, not with its parts alone
        gate.show()
        show_leaderboard(page.parent)
        link_to_mlflow(str(parent_run))
    if fail_on_gate:
        gate.require()
    return Outcome(done, failed, page, gate)


deliver_parent = network_task("deliver the experiment")(deliver)


def _here(runs: list[Run], parent: Path, options: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Train one run after the other; ids of MLflow runs, and by the run's name why others failed."""
    done: list[str] = []
    failed: dict[str, str] = {}
    for run in runs:
        try:
            done.append(train(run.variant, run.seed, experiment=str(parent), **options))
        except Exception as error:
            if not isinstance(error, CseflowError):
                run_logger().exception("%s: an unforeseen error", run.name)
            failed[run.name] = str(error)
    return done, failed


def _by_workers(runs: list[Run], parent: Path, options: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """As `_here`, by the deployments of `train`; whoever cancels this flow cancels them too."""
    from prefect import get_client, runtime
    from prefect.artifacts import create_progress_artifact, update_progress_artifact
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelling

    mine = runtime.flow_run.id
    options = {**options, "data_version": data_version_here(), "experiment": deliver_parent(parent).run_id}
    children: dict[UUID, Run] = {}
    for run in runs:
        try:
            child: Any = run_deployment(
                f"train/{run.variant}",
                parameters={"seed": run.seed, **options},
                timeout=0,
                idempotency_key=f"{mine} {run.name}",  # tried again, this flow finds the same runs
            )
        except ObjectNotFound:
            raise ConfigError(f"the Prefect server has no deployment train/{run.variant}: run cseflow deploy") from None
        children[child.id] = run
    states: dict[UUID, State] = {}
    progress: Any = create_progress_artifact(0.0, key="progress", description=f"share of {len(runs)} runs")
    with get_client(sync_client=True) as client:
        try:
            while len(states) < len(children):
                time.sleep(_LOOK)
                found = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[*children])))
                states = {each.id: each.state for each in found if each.state and _is_over(each.state)}
                update_progress_artifact(progress, 100 * len(states) / len(children))
        except BaseException:
            for child in children.keys() - states.keys():
                client.set_flow_run_state(child, Cancelling())
            raise
    done: list[str] = []
    failed: dict[str, str] = {}
    for child, run in children.items():
        found_run = find_finished(run) if states[child].is_completed() else None
        if found_run is not None:
            done.append(found_run)
        else:
            failed[run.name] = f"{states[child].name}: {states[child].message}"
    return done, failed


def _is_over(state: "State") -> bool:
    """Whether a run is to stay in this state; a crashed one most often goes on, see flows/automations."""
    crashed_for = datetime.now(UTC) - state.timestamp if state.is_crashed() else None
    return state.is_final() and (crashed_for is None or crashed_for > _PATIENCE)


def _open_parent(runs: list[Run]) -> tuple[Path, bool]:
    """The folder of the experiment's journal, and whether it is finished: one journal for one set of runs."""
    params = runs[0].params
    whole = hashlib.sha256(" ".join(run.fingerprint for run in runs).encode()).hexdigest()[:16]
    folder = paths.RUNS / f"experiment-{whole}"
    with Journal(folder) as journal:
        if journal.status == "FINISHED":
            return folder, True
        journal.start(
            f"experiment {whole[:6]}",
            params.tracking.experiment,
            tags={tags.KIND: "experiment", tags.FINGERPRINT: whole, tags.DATA_VERSION: data_version_here()}
            | links()
            | lineage_tags(),
            params={"variants": sorted({run.variant for run in runs}), "seeds": sorted({run.seed for run in runs})},
        )
    return folder, False


def seeds_of(params: Params, variant: str, seeds: list[int] | None) -> list[int]:
    """The seeds to run a variant with, each once; one that is not trained comes out the same with any."""
    wanted = list(dict.fromkeys(seeds or params.experiment.seeds))
    return wanted if variant_settings(params, variant).variant.objective else wanted[:1]
