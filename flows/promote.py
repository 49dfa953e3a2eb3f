"""`promote`: the gate, and what follows from its verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID, uuid4

from components.config import Params, load_params
from components.errors import CseflowError, UnreachableError
from components.evaluation.result import RunResult
from components.files import written_whole
from components.tracking import registry
from components.tracking.runs import folders_of
from components.tracking.tags import PROMOTED_SEEDS, REFERENCE_RUNS, UNANNOUNCED
from components.training.names import ENCODER
from flows.compare import champion_of, results_of
from flows.hosted import begin, link_to_mlflow, show_markdown
from flows.orchestration import deployed, flow, network_task, run_logger, tracked
from flows.parameters import Profile, Setting

PROMOTIONS = "cseflow-promotions"  # the global limit under which the champion changes

if TYPE_CHECKING:
    from components.promotion.comparison import Incomparable
    from components.promotion.gate import Compared
    from components.promotion.pick import Contender


class GateFailed(CseflowError):
    """The gate did not pass, and was asked to fail the flow."""


@dataclass(frozen=True)
class Promotion:
    """What the gate decided.

    A candidate that is champion already has passed, and nothing changes.

    Attributes:
        passed: every rule held.
        promoted: URI of the new champion; None where nothing changed.
        champion: URI of the champion after the gate; None where there is none.
        report: the verdict in Markdown.
        text: the verdict for a terminal.
    """

    passed: bool
    promoted: str | None
    champion: str | None
    report: str
    text: str

    def show(self) -> None:
        """Show the verdict with the present Prefect run."""
        show_markdown(self.report, key="gate", description="passed" if self.passed else "did not pass")

    def require(self) -> None:
        """Raise GateFailed unless it passed."""
        if not self.passed:
            raise GateFailed("the gate did not pass; its report says which rules failed and why")


@flow(name="promote", flow_run_name="gate")
def promote(
    run_ids: list[str], profile: Profile | None = None, fail: bool = False, settings: list[Setting] | None = None
) -> Promotion:
    """Judge the best variant among MLflow runs by the gate; if it passes, promote its best seed.

    Best is by the dev task (`evaluation.dev`), never by test, and the rules hold for that very seed. The reference is
    the champion or, without one, the runs of `experiment.reference`.

    Args:
        run_ids: of the MLflow runs of all variants and seeds.
        profile: of profiles/, for the gate's rules; default: the one that params.yaml names.
        fail: mark the flow failed where the gate does not pass.
        settings: keys of params.yaml to replace, KEY=VALUE each.
    """
    begin()
    params = load_params(profile=profile, settings=settings)
    results = results_of(run_ids)
    with one_at_a_time():
        outcome = _judged(results, params)
    outcome.show()
    if fail:
        outcome.require()
    return outcome


make_champion = network_task("promote")(registry.promote)
verdict_of = network_task("read the champion's verdict")(registry.verdict_of)
rewrite_file = network_task("put the verdict on the model card")(registry.rewrite_file)
remove_tag = network_task("note that the promotion is announced")(registry.remove_tag)


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
    from components.promotion.pick import contender, winner
    from components.promotion.verdict import (
        already_champion,
        promoted_as,
        unmarked,
        verdict_card,
        verdict_markdown,
        verdict_text,
    )

    rules = params.promotion
    name = winner(results, exclude=[params.experiment.reference])
    candidate = contender([result for result in results if result.variant == name])
    champion, reference = _champion(rules.model)
    if champion is not None and champion.run_id == candidate.encoder.run_id:
        announce(champion, name)
        report = already_champion(candidate.encoder, champion.model, champion.uri, verdict_of(champion))
        return Promotion(True, None, champion.uri, report, unmarked(report.splitlines()[0].removeprefix("## ")) + "\n")
    reference_name: Literal["champion", "untrained"] = "champion"
    if reference is None:
        reference_name, reference = "untrained", _reference(results, params.experiment.reference)
    verdict = judge(candidate, reference, rules, reference_name=reference_name, seed=params.seed)
    report, text = verdict_markdown(verdict, rules.model), verdict_text(verdict, rules.model)
    link_to_mlflow(candidate.encoder.run_id)
    untrained = _beside_untrained(candidate, results, params) if reference_name == "champion" else {}
    tell_on_card(candidate.encoder.run_id, verdict_card(verdict, rules.model, untrained))
    if not verdict.passed:
        return Promotion(False, None, champion.uri if champion else None, report, text)
    tags = {
        PROMOTED_SEEDS: " ".join(run.run_id for run in candidate.seeds),
        REFERENCE_RUNS: " ".join(run.run_id for run in verdict.reference.seeds) if verdict.reference else "",
        UNANNOUNCED: str(uuid4()),
    }
    promoted = make_champion(rules.model, candidate.encoder.run_id, report_markdown=report, tags=tags)
    announce(promoted, name)
    done = promoted_as(promoted.model, promoted.uri)
    return Promotion(True, promoted.uri, promoted.uri, f"{report}\n{done}\n", f"{text}{unmarked(done)}\n")


def tell_on_card(run_id: str, section: str) -> None:
    """Put the gate's verdict on the encoder's model card: in MLflow, and in the run's folder where it is here."""
    from components.card.card import CARD, with_promotion

    rewrite_file(run_id, CARD, lambda card: with_promotion(card, section))
    for folder in folders_of(run_id):
        path = folder / ENCODER / CARD
        if path.is_file() and (card := with_promotion(before := path.read_text(encoding="utf-8"), section)) != before:
            with written_whole(path) as aside:
                aside.write_text(card, encoding="utf-8")


def _beside_untrained(candidate: "Contender", results: list[RunResult], params: Params) -> "Compared":
    from components.promotion.comparison import Comparisons, Incomparable

    untrained = [result for result in results if result.variant == params.experiment.reference][:1]
    gain = params.promotion.gain
    both = Comparisons(
        [candidate.encoder, *untrained], resamples=gain.resamples, confidence=gain.confidence, seed=params.seed
    )
    try:
        return both.compare([candidate.encoder], untrained)
    except Incomparable:
        return {}


def _reference(results: list[RunResult], variant: str) -> "Contender | Incomparable":
    from components.promotion.comparison import Incomparable
    from components.promotion.pick import Contender, best_seed

    runs = [result for result in results if result.variant == variant]
    if not runs:
        return Incomparable(f"there is no finished run of the reference {variant}")
    return Contender(best_seed(runs) if len(runs) > 1 else runs[0], runs)


def _champion(model: str) -> "tuple[registry.RegisteredEncoder | None, Contender | Incomparable | None]":
    """The champion, and what of it can be compared: the seeds that it was picked from, where they can be loaded.

    Nothing where there is none; where the alias leads to none that can be compared with, what is wrong and the way on.
    """
    from components.promotion.comparison import Incomparable
    from components.promotion.pick import Contender

    try:
        champion = champion_of(model)
        if champion is None:
            return None, None
        (encoder,) = results_of([champion.run_id])
    except UnreachableError:
        raise
    except CseflowError as error:
        return None, Incomparable(str(error))
    others = [run_id for run_id in champion.tags.get(PROMOTED_SEEDS, "").split() if run_id != champion.run_id]
    try:
        return champion, Contender(encoder, [encoder, *results_of(others)])
    except UnreachableError:
        raise
    except CseflowError as error:
        run_logger().warning("the champion is compared by one seed alone, for its others can't be loaded: %s", error)
        return champion, Contender(encoder, [encoder])


def announce(champion: registry.RegisteredEncoder, variant: str) -> None:
    """Emit the event `cseflow.promoted`, on which an automation can act, unless that was done before.

    Its resource is `cseflow.model.NAME`; its payload has `uri`, `version`, `variant` and `run_id` of the new champion,
    and `run_ids` of all runs that the gate compared. A tag of the version holds the event's id until it is emitted, so
    that a run killed in between is made good by the next, under the same id.
    """
    if UNANNOUNCED not in champion.tags or not tracked():
        return
    from prefect.events import emit_event

    run_ids = [*champion.tags[PROMOTED_SEEDS].split(), *champion.tags[REFERENCE_RUNS].split()]
    emit_event(
        "cseflow.promoted",
        resource={"prefect.resource.id": f"cseflow.model.{champion.model}", "prefect.resource.name": champion.model},
        payload={
            "uri": champion.uri,
            "version": champion.version,
            "variant": variant,
            "run_id": champion.run_id,
            "run_ids": run_ids,
        },
        id=UUID(champion.tags[UNANNOUNCED]),
    )
    remove_tag(champion, UNANNOUNCED)
