"""`promote`: the gate, and what follows from its verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from components.config import Params, load_params
from components.errors import CseflowError
from components.evaluation.result import RunResult
from components.tracking import registry
from flows.compare import results_of
from flows.hosted import begin, link_to_mlflow, show_markdown
from flows.orchestration import deployed, flow, network_task, tracked
from flows.parameters import Profile

PROMOTIONS = "cseflow-promotions"  # the global limit under which the champion changes


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

    def show(self) -> None:
        """Show the verdict with the present Prefect run."""
        show_markdown(self.report, key="gate", description="passed" if self.passed else "did not pass")

    def require(self) -> None:
        """Raise GateFailed unless it passed."""
        if not self.passed:
            raise GateFailed("the gate did not pass; its report says which rules failed and why")


@flow(name="promote", flow_run_name="gate")
def promote(run_ids: list[str], profile: Profile | None = None, fail: bool = False) -> Promotion:
    """Let the best variant among MLflow runs stand before the gate; if it passes, promote its best seed.

    Best is by STS-B dev, never by test. The reference is the champion or, without one, the runs of
    `experiment.reference`.

    Args:
        run_ids: of the MLflow runs of all variants and seeds.
        profile: of profiles/, for the gate's rules; default: the one that params.yaml names.
        fail: mark the flow failed where the gate does not pass.
    """
    begin()
    params = load_params(profile=profile)
    results = results_of(run_ids)
    with one_at_a_time():
        outcome = _judged(results, params)
    outcome.show()
    if fail:
        outcome.require()
    return outcome


champion_of = network_task("ask for the champion")(registry.champion)
make_champion = network_task("promote")(registry.promote)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the server's limit on promotions, where workers promote."""
    if not deployed():
        yield
        return
    from prefect.concurrency.sync import concurrency

    with concurrency(PROMOTIONS, strict=True):
        yield


def _judged(results: list[RunResult], params: Params) -> Promotion:
    from components.promotion.gate import judge
    from components.promotion.pick import best_seed, winner
    from components.promotion.verdict import verdict_markdown

    rules = params.promotion
    name = winner(results, exclude=[params.experiment.reference])
    candidate = [result for result in results if result.variant == name]
    chosen = best_seed(candidate)
    champion = champion_of(rules.model)
    if champion is not None and champion.run_id == chosen.run_id:
        return Promotion(
            True, None, f"`{name}` seed {chosen.seed} is champion of `{rules.model}` already ({champion.uri})."
        )
    reference: list[RunResult]
    if champion is not None:
        reference = results_of([champion.run_id])
    else:
        reference = [result for result in results if result.variant == params.experiment.reference]
    verdict = judge(
        candidate, reference, rules, reference_name="champion" if champion else "untrained", seed=params.seed
    )
    report = verdict_markdown(verdict, candidate, rules)
    link_to_mlflow(chosen.run_id)
    if not verdict.passed:
        return Promotion(False, None, report)
    promoted = make_champion(rules.model, chosen.run_id, report_markdown=report)
    announce(promoted, name, [result.run_id for result in [*candidate, *reference]])
    return Promotion(True, promoted.uri, report)


def announce(promoted: registry.RegisteredEncoder, variant: str, run_ids: list[str]) -> None:
    """Emit the event `cseflow.promoted`, on which an automation can act.

    Its resource is `cseflow.model.NAME`; its payload has `uri`, `version`, `variant` and `run_id` of the new champion,
    and `run_ids` of all runs that the gate compared.
    """
    if not tracked():
        return
    from prefect.events import emit_event

    emit_event(
        "cseflow.promoted",
        resource={"prefect.resource.id": f"cseflow.model.{promoted.model}", "prefect.resource.name": promoted.model},
        payload={
            "uri": promoted.uri,
            "version": promoted.version,
            "variant": variant,
            "run_id": promoted.run_id,
            "run_ids": run_ids,
        },
    )
