"""`train`: one variant with one seed, into one MLflow run."""

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, runtime

from components.config import load_params
from components.errors import CseflowError
from components.tracking.runs import run_url
from flows.runs import Run


@flow(name="train", flow_run_name="{variant} seed {seed}")
def train(
    variant: str,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    force: bool = False,
    experiment: Path | None = None,
) -> str:
    """Train and measure a variant; returns the id of its MLflow run.

    Args:
        variant: an entry of `variants` in params.yaml.
        seed: of initialisation, batches and dropout.
        overrides: keys of section `training` to replace for this run.
        force: train even where a finished run of the same code, data, parameters and seed stands in MLflow.
        experiment: folder of the journal of the experiment that this run belongs to.
    """
    log = get_run_logger()
    run = Run(load_params(), variant, seed, overrides or {})
    if force:
        run.forget()
    elif (found := run.finished()) is not None:
        log.info("%s seed %d is done already: MLflow run %s", variant, seed, found)
        return found
    delivered = run.execute(experiment, flow_run=runtime.flow_run.id)
    if delivered.run_id is None or not delivered.complete:
        raise CseflowError(
            f"{variant} seed {seed} is trained and measured, but {delivered.kept} records wait for MLflow in "
            f"{delivered.folder}; when the server is back, send them with: cseflow deliver"
        )
    log.info("%s seed %d: MLflow run %s", variant, seed, run_url(delivered.run_id) or delivered.run_id)
    return delivered.run_id
