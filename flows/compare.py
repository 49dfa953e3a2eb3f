"""`compare`: finished runs side by side, as leaderboard, plots and one HTML page."""

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from components import paths
from components.config import load_params
from components.report.page import write_report
from components.tracking.lineage import lineage_tags
from components.tracking.runs import load_result, log_report


@flow(name="compare")
def compare(
    run_ids: list[str], into: Path = paths.REPORTS / "comparison", log_to: str | None = None, verdict: str | None = None
) -> Path:
    """Write the report on the MLflow runs `run_ids` into the folder `into`, and into the MLflow run `log_to`.

    `verdict` is the gate's report, which the page shows.

    Returns:
        The report's HTML page.
    """
    params = load_params()
    results = [load_result(run_id) for run_id in run_ids]
    tags = lineage_tags()
    provenance = {
        "profile": params.profile,
        "commit": tags["cse.git.commit"] + (" with changes" if tags["cse.git.dirty"] == "true" else ""),
        "hardware": f"{tags['cse.hardware.cpu']}, {tags['cse.hardware.cores']} cores, GPU: {tags['cse.hardware.gpus']}",
    }
    write_report(results, params.experiment.reference, verdict, into, provenance)
    if log_to is not None:
        log_report(log_to, into)
    create_markdown_artifact((into / "leaderboard.md").read_text(), key="leaderboard")
    return into / "index.html"
