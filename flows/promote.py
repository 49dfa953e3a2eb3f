"""`promote`: the gate, and what follows from its verdict."""

from dataclasses import dataclass

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from components.config import load_params
from components.errors import CseflowError
from components.evaluation.result import RunResult
from components.promotion.gate import judge
from components.promotion.pick import best_seed, winner
from components.promotion.verdict import verdict_markdown
from components.tracking import registry
from components.tracking.runs import load_result


class GateFailed(CseflowError):
    """The gate did not pass, and was asked to fail the flow."""


@dataclass(frozen=True)
class Promotion:
    """What came of the gate: `promoted` is the model's URI, None where nothing moved; `report` is Markdown.

    A candidate that is champion already has passed, and nothing moves.
    """

    passed: bool
    promoted: str | None
    report: str

    def require(self) -> None:
        """Raise GateFailed unless it passed."""
        if not self.passed:
            raise GateFailed("the gate did not pass; its report says which rules failed and why")


@flow(name="promote")
def promote(run_ids: list[str], fail: bool = False) -> Promotion:
    """Let the best variant among MLflow runs stand before the gate; if it passes, promote its best seed.

    Best is by STS-B dev, never by test. The reference is the champion or, without one, the runs of
    `experiment.reference`.

    Args:
        run_ids: of the runs of all variants and seeds.
        fail: mark the flow failed where the gate does not pass.
    """
    params = load_params()
    rules = params.promotion
    results = [load_result(run_id) for run_id in run_ids]
    name = winner(results, exclude=[params.experiment.reference])
    candidate = [result for result in results if result.variant == name]
    chosen = best_seed(candidate)
    champion = registry.champion(rules.model)
    if champion is not None and champion.run_id == chosen.run_id:
        return Promotion(
            True, None, f"`{name}` seed {chosen.seed} is champion of `{rules.model}` already ({champion.uri})."
        )
    reference: list[RunResult]
    if champion is not None:
        reference = [load_result(champion.run_id)]
    else:
        reference = [result for result in results if result.variant == params.experiment.reference]
    verdict = judge(
        candidate, reference, rules, reference_name="champion" if champion else "untrained", seed=params.seed
    )
    report = verdict_markdown(verdict, candidate, rules)
    create_markdown_artifact(report, key="gate")
    uri = registry.promote(rules.model, chosen.run_id, report_markdown=report).uri if verdict.passed else None
    outcome = Promotion(verdict.passed, uri, report)
    if fail:
        outcome.require()
    return outcome
