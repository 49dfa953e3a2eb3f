"""`compare`: finished runs side by side, as leaderboard, plots and one HTML page."""

from pathlib import Path

from components import paths
from components.config import load_params
from components.errors import CseflowError, UnreachableError
from components.evaluation.result import RunResult, told_apart
from components.tracking import registry
from components.tracking.lineage import lineage_tags
from components.tracking.runs import load_result, log_report
from flows.hosted import begin, link_to_mlflow, page_of, show_markdown
from flows.orchestration import flow, network_task
from flows.parameters import Profile, Setting


@flow(name="compare", flow_run_name="report in {into}")
def compare(
    run_ids: list[str],
    into: Path = paths.REPORTS / "comparison",
    log_to: str | None = None,
    verdict: str | None = None,
    profile: Profile | None = None,
    settings: list[Setting] | None = None,
) -> Path:
    """Write the report on finished MLflow runs; returns its HTML page.

    Args:
        run_ids: of the MLflow runs.
        into: the folder that gets index.html, the leaderboard and the plots.
        log_to: an MLflow run that gets them too, as artifacts.
        verdict: the gate's report, in Markdown, which the page shows.
        profile: of profiles/; default: the one that params.yaml names.
        settings: keys of params.yaml to replace, KEY=VALUE each.
    """
    from components.report.page import write_report

    begin()
    params = load_params(profile=profile, settings=settings)
    results = results_of(run_ids)
    tags = lineage_tags()
    provenance = {
        "profile": params.profile,
        "commit": tags["cse.git.commit"] + (" with changes" if tags["cse.git.dirty"] == "true" else ""),
        "hardware": f"{tags['cse.hardware.cpu']}, {tags['cse.hardware.cores']} cores, GPU: {tags['cse.hardware.gpus']}",
    }
    provenance["champion when this was written"] = _champion(params.promotion.model)
    gain = params.promotion.gain
    write_report(
        results,
        params.experiment.reference,
        verdict,
        into,
        provenance,
        papers={name: each.published for name, each in params.variants.items() if each.published},
        links={run_id: url for run_id in run_ids if (url := page_of(run_id))},
        resamples=gain.resamples,
        confidence=gain.confidence,
        seed=params.seed,
    )
    if log_to is not None:
        add_report(log_to, into)
        link_to_mlflow(log_to)
    show_leaderboard(into)
    return into / "index.html"


def _champion(model: str) -> str:
    try:
        champion = champion_of(model)
    except UnreachableError:
        raise
    except CseflowError as error:
        return str(error)
    return f"{champion.uri}, MLflow run {champion.run_id}" if champion else "none"


def show_leaderboard(report: Path) -> None:
    """Show the leaderboard of the folder `report` with the present Prefect run."""
    show_markdown((report / "leaderboard.md").read_text(), key="leaderboard", description=str(report))


@network_task("load results")
def results_of(run_ids: list[str]) -> list[RunResult]:
    """Everything that the runs have to say, from MLflow; one that is named twice counts once.

    The name of a variant says which settings it has, where the runs of it differ in some.
    """
    return told_apart(load_result(run_id) for run_id in dict.fromkeys(run_ids))


champion_of = network_task("ask for the champion")(registry.champion)
add_report = network_task("add the report")(log_report)
