"""`experiment`: any variants × seeds trained, compared and put before the gate."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from prefect import flow, get_run_logger, runtime

from components import paths
from components.config import Params, load_params, variant_settings
from components.errors import CseflowError
from components.tracking import tags
from components.tracking.delivery import deliver
from components.tracking.journal import Journal
from components.tracking.lineage import lineage_tags
from flows.compare import compare
from flows.promote import Promotion, promote
from flows.runs import Run
from flows.train import train


@dataclass(frozen=True)
class Outcome:
    """What an experiment came to; `failed` maps a run's name to what went wrong."""

    runs: list[str]
    failed: dict[str, str]
    page: Path
    gate: Promotion


@flow(name="experiment")
def experiment(
    variants: list[str] | None = None,
    seeds: list[int] | None = None,
    force: bool = False,
    fail_on_gate: bool = False,
) -> Outcome:
    """Train what isn't trained yet, compare all, and let the best stand before the gate.

    Args:
        variants: entries of `variants` in params.yaml; default: `experiment.variants`. The reference is added.
        seeds: default: `experiment.seeds`. A variant that is not trained runs with the first alone.
        force: train even what is done already.
        fail_on_gate: mark the flow failed where the gate does not pass.
    """
    log = get_run_logger()
    params = load_params()
    names = list(dict.fromkeys([params.experiment.reference, *(variants or params.experiment.variants)]))
    runs = [Run(params, name, seed, {}) for name in names for seed in seeds_of(params, name, seeds)]
    parent, finished = _open_parent(runs)
    done: list[str] = []
    failed: dict[str, str] = {}
    for run in runs:
        state = train(run.variant, run.seed, force=force, experiment=parent, return_state=True)
        if state.is_completed():
            done.append(state.result())
        else:
            failed[f"{run.variant} seed {run.seed}"] = str(state.result(raise_on_failure=False))
            log.error("%s seed %d failed: %s", run.variant, run.seed, failed[f"{run.variant} seed {run.seed}"])
    if not done:
        raise CseflowError("no run succeeded: " + "; ".join(f"{name}: {why}" for name, why in failed.items()))
    gate = promote(done)
    page = paths.REPORTS / parent.name / "index.html"
    if not finished or force or not page.exists():
        compare(done, into=page.parent, log_to=deliver(parent).run_id, verdict=gate.report)
    if not finished:
        with Journal(parent) as journal:
            journal.finish("FAILED" if failed else "FINISHED")
        deliver(parent)
    if fail_on_gate:
        gate.require()
    return Outcome(done, failed, page, gate)


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
            tags={tags.KIND: "experiment", tags.FINGERPRINT: whole, tags.FLOW_RUN: str(runtime.flow_run.id)}
            | lineage_tags(),
            params={"variants": sorted({run.variant for run in runs}), "seeds": sorted({run.seed for run in runs})},
        )
    return folder, False


def seeds_of(params: Params, variant: str, seeds: list[int] | None) -> list[int]:
    """The seeds to run a variant with; one that is not trained comes out the same with any."""
    wanted = seeds or params.experiment.seeds
    return wanted if variant_settings(params, variant).variant.objective else wanted[:1]
