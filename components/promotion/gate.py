"""The rules of params.yaml applied to a candidate: passed or not, and why, in one sentence per rule."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from components.config.promotion import Bounds, Floor, Gain, Promotion, Regression, Rule, Validations
from components.evaluation.result import RunResult
from components.promotion.comparison import AVERAGE, Incomparable, TaskComparison, compare, mean_metric

ReferenceName = Literal["champion", "untrained"]
_POSSESSIVE: dict[ReferenceName, str] = {"champion": "the champion's", "untrained": "the untrained encoder's"}


@dataclass(frozen=True)
class Outcome:
    """What became of one rule; `reason` is a sentence with the figures, passed or not."""

    rule: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Verdict:
    """Attributes:
    passed: every rule did.
    outcomes: one per rule, in the order of params.yaml.
    comparison: task (and `avg`) → figures and bootstrap; empty where the two sides can't be compared.
    """

    passed: bool
    outcomes: tuple[Outcome, ...]
    reference_name: ReferenceName
    comparison: dict[str, TaskComparison] = field(default_factory=dict)


def judge(
    candidate: Sequence[RunResult],
    reference: Sequence[RunResult],
    promotion: Promotion,
    *,
    reference_name: ReferenceName,
    seed: int,
) -> Verdict:
    """Judge a variant by the mean of its seeds, against the mean of the reference's.

    A rule that can't be judged has failed: a metric that is missing or not finite, a side without runs, runs of
    several variants on the candidate's side, pairs that differ. `gain` passes if and only if the observed gain in the
    STS average is at least `minimum` and significant: the lower bound of its one-sided bootstrap interval, which is the
    (1 − `confidence`) quantile of the resampled gains, is above 0.

    Args:
        candidate: runs of one variant, one per seed.
        reference: runs of the champion, or of the untrained encoder where there is no champion.
        promotion: the rules.
        reference_name: what the reference is called in the reasons.
        seed: of the bootstrap.
    """
    case = _Case(candidate, reference, _POSSESSIVE[reference_name])
    try:
        case.check()
        drawn = [rule.resamples for rule in promotion.rules if isinstance(rule, Gain)] or [Gain(rule="gain").resamples]
        case.comparison = compare(candidate, reference, resamples=max(drawn), seed=seed)
    except Incomparable as why:
        case.obstacle = why
    outcomes = tuple(_outcome(rule, case) for rule in promotion.rules)
    return Verdict(all(outcome.passed for outcome in outcomes), outcomes, reference_name, case.comparison)


@dataclass
class _Case:
    candidate: Sequence[RunResult]
    reference: Sequence[RunResult]
    whose: str
    comparison: dict[str, TaskComparison] = field(default_factory=dict)
    obstacle: Incomparable | None = None

    def check(self) -> None:
        if not self.candidate:
            raise Incomparable("there is no finished run of the candidate")
        if len({run.variant for run in self.candidate}) > 1:
            raise Incomparable("the candidate's runs are of several variants")

    def value(self, metric: str) -> float:
        self.check()
        return mean_metric(self.candidate, metric)

    def compared(self) -> dict[str, TaskComparison]:
        if self.obstacle:
            raise self.obstacle
        return self.comparison


def _outcome(rule: Rule, case: _Case) -> Outcome:
    name = rule.rule.replace("_", " ")
    try:
        match rule:
            case Floor():
                name = f"floor of {rule.metric}"
                passed, reason = _floor(rule, case.value(rule.metric))
            case Bounds():
                name = f"bounds of {rule.metric}"
                passed, reason = _bounds(rule, case.value(rule.metric))
            case Gain():
                passed, reason = _gain(rule, case.compared()[AVERAGE], case)
            case Regression():
                passed, reason = _regression(rule, case.compared(), case.whose)
            case Validations():
                case.check()
                passed, reason = _validations(case.candidate)
    except Incomparable as why:
        passed, reason = False, f"Can't be judged: {why}."
    return Outcome(name, passed, reason)


def _floor(rule: Floor, value: float) -> tuple[bool, str]:
    shown, minimum = _told_apart(value, rule.minimum)
    passed = value >= rule.minimum
    return passed, f"{rule.metric} is {shown}, {'' if passed else 'below the floor: '}at least {minimum} wanted."


def _bounds(rule: Bounds, value: float) -> tuple[bool, str]:
    shown, minimum, maximum = _told_apart(value, rule.minimum, rule.maximum)
    if value < rule.minimum:
        return False, f"{rule.metric} is {shown}, below its lower bound of {minimum}."
    if value > rule.maximum:
        return False, f"{rule.metric} is {shown}, above its upper bound of {maximum}."
    return True, f"{rule.metric} is {shown}, within {minimum} and {maximum}."


def _gain(rule: Gain, average: TaskComparison, case: _Case) -> tuple[bool, str]:
    if {run.run_id for run in case.candidate} <= {run.run_id for run in case.reference}:
        return False, "The candidate is the reference itself: there is nothing to gain."
    low, high = average.bootstrap.interval(rule.confidence)
    bound = average.lower_bound(rule.confidence)
    gain, minimum = _told_apart(average.gain, rule.minimum)
    enough, significant = average.gain >= rule.minimum, bound > 0
    flaws = ["is too small"] * (not enough) + ["may be luck with the pairs"] * (not significant)
    verdict = f"; it {' and '.join(flaws)}" if flaws else ""
    reason = (
        f"STS average {average.candidate:.2f} against {case.whose} {average.reference:.2f} is a gain of {gain} "
        f"({100 * rule.confidence:g} % interval {low:.2f} to {high:.2f}, one-sided lower bound "
        f"{_told_apart(bound, 0.0)[0]}, {len(average.bootstrap.resampled):,} resamples): at least {minimum} and a "
        f"lower bound above 0 wanted{verdict}."
    )
    return enough and significant, reason


def _regression(rule: Regression, compared: dict[str, TaskComparison], whose: str) -> tuple[bool, str]:
    tasks = {name: task for name, task in compared.items() if name != AVERAGE}
    worse = {name: task for name, task in tasks.items() if task.gain < -rule.maximum}
    if worse:
        falls = []
        for name, task in worse.items():
            loss, maximum = _told_apart(-task.gain, rule.maximum)
            falls.append(f"{name} falls {loss} below {whose} {task.reference:.2f}")
        return False, f"{', '.join(falls)}: at most {maximum} allowed."
    lowest = min(tasks, key=lambda name: tasks[name].gain)
    return True, (
        f"No task falls more than {rule.maximum:.2f} below {whose} score; the lowest gain is "
        f"{tasks[lowest].gain:+.2f}, on {lowest}."
    )


def _validations(candidate: Sequence[RunResult]) -> tuple[bool, str]:
    without = [run for run in candidate if not run.validations]
    if without:
        seeds = ", ".join(str(run.seed) for run in without)
        return False, f"No validation of the data was recorded for seed {seeds}."
    failed = sorted({kind for run in candidate for kind, passed in run.validations.items() if passed is not True})
    if failed:
        return False, f"The validation of {', '.join(failed)} failed."
    kinds = sorted({kind for run in candidate for kind in run.validations})
    return True, f"The validations of {', '.join(kinds)} passed."


def _told_apart(value: float, *bounds: float) -> list[str]:
    """`value` and `bounds` with two decimals, or with as many more as it takes to show that they differ."""
    for digits in range(2, 9):
        shown, *limits = (f"{number:.{digits}f}" for number in (value, *bounds))
        if all((shown == limit) == (value == bound) for limit, bound in zip(limits, bounds, strict=True)):
            break
    return [shown, *limits]
