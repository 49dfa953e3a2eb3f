"""The rules of params.yaml applied to a candidate: passed or not, and why, in one sentence per rule."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from components.config.promotion import Bounds, Floor, Gain, Promotion, Regression, Rule, Seeds, Validations
from components.evaluation.result import RunResult
from components.promotion.comparison import AVERAGE, Comparisons, Incomparable, TaskComparison, mean_metric
from components.promotion.pick import Contender
from components.tracking.registry import way_past_champion

ReferenceName = Literal["champion", "untrained"]
_POSSESSIVE: dict[ReferenceName, str] = {"champion": "the champion's", "untrained": "the untrained encoder's"}
Compared = dict[str, TaskComparison]  # by task, and `avg`


@dataclass(frozen=True)
class Ruling:
    """How one rule was met; `reason` is a sentence with the figures, passed or not."""

    rule: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Verdict:
    """Attributes:
    passed: every rule did.
    outcomes: one per rule, in the order of params.yaml.
    candidate: what was judged.
    reference: what it was compared with; None where that can't be loaded.
    encoders: the encoder that would be promoted against the reference's encoder; empty where they can't be compared.
    means: the mean over the candidate's seeds against that over the reference's; likewise.
    obstacle: why nothing can be compared with the champion, and the way on, in one sentence; empty where it can.
    """

    passed: bool
    outcomes: tuple[Ruling, ...]
    reference_name: ReferenceName
    candidate: Contender
    reference: Contender | None = None
    encoders: Compared = field(default_factory=dict)
    means: Compared = field(default_factory=dict)
    obstacle: str = ""


def judge(
    candidate: Contender,
    reference: Contender | Incomparable,
    promotion: Promotion,
    *,
    reference_name: ReferenceName,
    seed: int,
) -> Verdict:
    """Judge the encoder that would be promoted against the reference's encoder, and all seeds against all seeds.

    A rule that can't be judged has failed: a metric that is missing or not finite, a reference without runs, runs of
    several variants on the candidate's side, pairs that differ. `gain` passes if and only if the encoder's gain in the
    STS average is at least `minimum` and its two-sided bootstrap interval lies above 0; `seeds` asks the same of the
    mean over seeds, in an interval over seeds and pairs.

    Args:
        candidate: of one variant.
        reference: the champion, or the untrained encoder where there is no champion. Where it can't be compared with,
            the reason; of a champion, a clause that also names the way on.
        promotion: the rules.
        reference_name: what the reference is called in the reasons.
        seed: of the bootstrap.
    """
    case = _Case(candidate, reference, reference_name, promotion.model)
    case.compare(promotion.gain, seed)
    outcomes = tuple(_ruling(rule, case) for rule in promotion.rules)
    return Verdict(
        all(outcome.passed for outcome in outcomes),
        outcomes,
        reference_name,
        candidate,
        reference if isinstance(reference, Contender) else None,
        case.encoders,
        case.means,
        case.advice,
    )


@dataclass
class _Case:
    candidate: Contender
    reference: Contender | Incomparable
    reference_name: ReferenceName
    model: str
    encoders: Compared = field(default_factory=dict)
    means: Compared = field(default_factory=dict)
    obstacle: Incomparable | None = None
    advice: str = ""

    @property
    def whose(self) -> str:
        return _POSSESSIVE[self.reference_name]

    def compare(self, settings: Gain, seed: int) -> None:
        """Fill in what can be compared, or what is in the way."""
        try:
            self.check()
            if isinstance(self.reference, Contender):
                self._compare(self.candidate, self.reference, settings, seed)
            elif self.reference_name == "champion":
                self.advice = str(self.reference)
                raise Incomparable("nothing can be compared with the champion, see below")
            else:
                raise self.reference
        except Incomparable as why:
            self.obstacle = why
            self.encoders, self.means = {}, {}

    def _compare(self, ours: Contender, theirs: Contender, settings: Gain, seed: int) -> None:
        compared = Comparisons(
            [ours.encoder, *ours.seeds, theirs.encoder, *theirs.seeds],
            resamples=settings.resamples,
            confidence=settings.confidence,
            seed=seed,
        )
        compared.compare(ours.seeds, ours.seeds)  # what the candidate lacks is no fault of the reference
        compared.compare([ours.encoder], [ours.encoder])
        try:
            self.encoders = compared.compare([ours.encoder], [theirs.encoder])
            self.means = compared.compare(ours.seeds, theirs.seeds)
        except Incomparable as why:
            if self.reference_name == "champion":
                self.advice = (
                    f"the alias champion of {self.model} leads to an encoder that can't be compared with the candidate "
                    f"({why}): {way_past_champion(self.model)}"
                )
            raise

    def check(self) -> None:
        if len({run.variant for run in (self.candidate.encoder, *self.candidate.seeds)}) > 1:
            raise Incomparable("the candidate's runs are of several variants")
        seeds = [run.seed for run in self.candidate.seeds]
        if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
            raise Incomparable(
                f"several of the candidate's runs are of seed {', '.join(map(str, twice))}, which would count as seeds "
                "that differ: name one run of each"
            )

    def value(self, metric: str) -> float:
        self.check()
        return mean_metric([self.candidate.encoder], metric)

    def compared(self) -> Contender:
        """The reference, which could be compared."""
        if self.obstacle:
            raise self.obstacle
        assert isinstance(self.reference, Contender)
        return self.reference


def _ruling(rule: Rule, case: _Case) -> Ruling:
    name: str = rule.rule
    try:
        match rule:
            case Floor():
                name = f"floor of {rule.metric}"
                passed, reason = _floor(rule, case.value(rule.metric))
            case Bounds():
                name = f"bounds of {rule.metric}"
                passed, reason = _bounds(rule, case.value(rule.metric))
            case Gain():
                passed, reason = _gain(rule, case.compared(), case)
            case Seeds():
                passed, reason = _seeds(rule, case.compared(), case)
            case Regression():
                case.compared()
                passed, reason = _regression(rule, case.encoders, case.whose)
            case Validations():
                case.check()
                passed, reason = _validations(case.candidate.seeds)
    except Incomparable as why:
        passed, reason = False, f"Can't be judged: {why}."
    return Ruling(name, passed, reason)


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


def _gain(rule: Gain, reference: Contender, case: _Case) -> tuple[bool, str]:
    if case.candidate.encoder.run_id == reference.encoder.run_id:
        return False, "The candidate is the reference itself: there is nothing to gain."
    average = case.encoders[AVERAGE]
    flaws = _flaws(average, rule.minimum)
    gain, minimum = _gained(average, rule.minimum)
    return not flaws, (
        f"Seed {case.candidate.encoder.seed}: STS average {average.candidate:.2f} against {case.whose} "
        f"{average.reference:.2f}, gain {gain} ({_confidence(average)} {average.interval_text}): at least {minimum} "
        f"and an interval above 0 wanted{_but(flaws)}."
    )


def _seeds(rule: Seeds, reference: Contender, case: _Case) -> tuple[bool, str]:
    ours, theirs = case.candidate.seeds, reference.seeds
    if {run.run_id for run in ours} == {run.run_id for run in theirs}:
        return False, "The candidate is the reference itself: there is nothing to gain."
    average = case.means[AVERAGE]
    flaws = _flaws(average, rule.minimum_gain)
    if len(ours) < rule.minimum_seeds:
        flaws.append("has too few seeds")
    gain, minimum = _gained(average, rule.minimum_gain)
    over = "over seeds and pairs" if max(len(ours), len(theirs)) > 1 else "over pairs alone: one seed has no spread"
    return not flaws, (
        f"Mean of {_counted(len(ours))}: STS average {average.candidate:.2f} against {case.whose} "
        f"{average.reference:.2f} ({_counted(len(theirs))}), gain {gain} ({_confidence(average)} "
        f"{average.interval_text}, {over}): at least {_counted(rule.minimum_seeds)}, {minimum} and an interval above 0 "
        f"wanted{_but(flaws)}."
    )


def _flaws(average: TaskComparison, minimum: float) -> list[str]:
    return ["is too small"] * (average.gain < minimum) + ["is not statistically significant"] * (average.mark != "▲")


def _gained(average: TaskComparison, minimum: float) -> tuple[str, str]:
    """The gain as the tables have it, or with as many more digits as tell it from the minimum; and the minimum."""
    gain, least = _told_apart(average.gain, minimum)
    return average.gain_text.split()[0] if gain == f"{average.gain:.2f}" else gain, least


def _confidence(average: TaskComparison) -> str:
    return f"{100 * average.confidence:g} % interval"


def _but(flaws: Sequence[str]) -> str:
    return f"; it {' and '.join(flaws)}" if flaws else ""


def _counted(seeds: int) -> str:
    return f"{seeds} seeds" if seeds > 1 else "1 seed"


def _regression(rule: Regression, compared: Compared, whose: str) -> tuple[bool, str]:
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


def _validations(seeds: Sequence[RunResult]) -> tuple[bool, str]:
    without = [run for run in seeds if not run.validations]
    if without:
        missing = ", ".join(str(run.seed) for run in without)
        return False, f"No validation of the data was recorded for seed {missing}."
    failed = sorted({kind for run in seeds for kind, passed in run.validations.items() if passed is not True})
    if failed:
        return False, f"The validation of {', '.join(failed)} failed."
    kinds = sorted({kind for run in seeds for kind in run.validations})
    return True, f"The validations of {', '.join(kinds)} passed."


def _told_apart(value: float, *bounds: float) -> list[str]:
    """`value` and `bounds` with two decimals, or with as many more as it takes to show that they differ."""
    for digits in range(2, 9):
        shown, *limits = (f"{number:.{digits}f}" for number in (value, *bounds))
        if all((shown == limit) == (value == bound) for limit, bound in zip(limits, bounds, strict=True)):
            break
    return [shown, *limits]
