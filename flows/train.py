"""`train`: one variant with one seed, into one MLflow run."""

from pathlib import Path

from components.config import load_params
from components.config.base import Seed
from components.config.command import command_params
from components.errors import UnreachableError
from components.graph.fresh import require_fresh
from components.runs.run import Run
from components.tracking import tags
from components.tracking.delivery import Delivered
from flows.devices import own_devices
from flows.hosted import begin, link_to_mlflow, links, page_of, require_data, require_data_version, shown, tries
from flows.orchestration import deployed, flow, network_task, run_logger
from flows.parameters import DataVersion, Profile, Setting, TrainingOverrides, Variant


@flow(name="train", flow_run_name="{variant} seed {seed}")
def train(
    variant: Variant,
    seed: Seed = 0,
    overrides: TrainingOverrides | None = None,
    profile: Profile | None = None,
    data_version: DataVersion | None = None,
    force: bool = False,
    experiment: str | None = None,
    settings: list[Setting] | None = None,
) -> str:
    """Train and measure a variant; returns the id of its MLflow run.

    Args:
        variant: an entry of `variants` in params.yaml.
        seed: of initialisation, batches and dropout.
        overrides: keys of section `training` to replace for this run.
        profile: of profiles/; default: the one that params.yaml names. The data must have been made under it.
        data_version: what `cseflow status` calls the data version; a host with other data stops. Default: any.
        force: train even where a finished run of the same code, data, parameters and seed stands in MLflow.
        experiment: the MLflow run of the experiment that this belongs to, or its journal's folder; set by `experiment`.
        settings: keys of params.yaml to replace for this run, KEY=VALUE each, such as training.learning_rate=3e-5.
    """
    begin()
    log = run_logger()
    if experiment is None:
        params = command_params([variant], settings, profile).params
    else:
        params = load_params(profile=profile, settings=settings)
    run = Run(params, variant, seed, overrides.model_dump(exclude_unset=True) if overrides else {})
    require_data_version(data_version)
    require_fresh(run.params, [variant])
    if deployed():
        require_data([*run.training_data, *run.evaluation_data])
    again = tries() > 1
    if force and not again:  # a forced run that was killed goes on
        run.forget()
    elif not force and (found := find_finished(run)) is not None:
        log.info("%s is done already: MLflow run %s", run.name, page_of(found) or found)
        link_to_mlflow(found)
        return found
    delivered = execute(run, experiment)
    assert delivered.run_id is not None  # `execute` made sure
    log.info("%s: MLflow run %s", run.name, page_of(delivered.run_id) or delivered.run_id)
    return delivered.run_id


@network_task("find a finished run")
def find_finished(run: Run) -> str | None:
    """The id of the finished MLflow run that makes this one superfluous, if there is one."""
    return run.finished()


@network_task("train and measure")
def execute(run: Run, experiment: str | None) -> Delivered:
    """Train, measure and deliver to MLflow; what an earlier try has done is not done again.

    Raises:
        UnreachableError: all is done, but MLflow has not got it yet.
    """
    folder = Path(experiment) if experiment and Path(experiment).is_dir() else None
    parent = {tags.PARENT: experiment} if experiment and folder is None else {}
    with own_devices(run.settings.training.processes), shown(run.folder):
        delivered = run.execute(folder, links() | parent)
    if delivered.run_id is None or not delivered.complete:
        raise UnreachableError(
            f"{run.name} is trained and measured, but {delivered.kept} records wait for MLflow in "
            f"{delivered.folder}; when the server is back, send them with: cseflow deliver"
        )
    return delivered
