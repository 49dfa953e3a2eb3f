"""What a sweep varies: keys of params.yaml with several values each, or with a range."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from components.config.file import read_value
from components.config.settings import parse_setting
from components.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LOG_RATIO = 10.0  # of the ends of a range of positive numbers, from which it is searched by orders of magnitude
Point = dict[str, str | float | int]  # key → value; one of a list stands as its text


class Values(NamedTuple):
    """A key and the values to try, in YAML."""

    key: str
    texts: tuple[str, ...]

    @property
    def ends(self) -> tuple[str, str]:
        """Two of its values that differ."""
        return self.texts[0], self.texts[-1]

    @property
    def distribution(self) -> "BaseDistribution":
        """As optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.texts)


class Range(NamedTuple):
    """A key and the ends of what to try, both included; whole numbers where both ends are."""

    key: str
    low: float
    high: float

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def is_log(self) -> bool:
        """Whether it is searched by orders of magnitude."""
        return self.low > 0 and self.high / self.low >= LOG_RATIO

    @property
    def ends(self) -> tuple[str, str]:
        """Its ends as texts."""
        return str(self.low), str(self.high)

    @property
    def distribution(self) -> "BaseDistribution":
        """As optuna has it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), log=self.is_log)
        return FloatDistribution(self.low, self.high, log=self.is_log)


@dataclass(frozen=True)
class Space:
    """Attributes:
    fixed: KEY=VALUE of what is the same in all trials.
    varied: what isn't.
    """

    fixed: tuple[str, ...]
    varied: tuple[Values | Range, ...]

    @property
    def is_grid(self) -> bool:
        """Whether all that is varied has a list of values, so that every combination can be tried."""
        return all(isinstance(each, Values) for each in self.varied)

    @property
    def distributions(self) -> "dict[str, BaseDistribution]":
        """Key → what optuna draws from."""
        return {each.key: each.distribution for each in self.varied}

    def grid(self) -> Iterator[Point]:
        """Every combination of values, in the order in which they were given."""
        lists = [each.texts for each in self.varied if isinstance(each, Values)]
        for texts in product(*lists):
            yield dict(zip([each.key for each in self.varied], texts, strict=True))

    def settings(self, point: Mapping[str, Any]) -> list[str]:
        """A trial's KEY=VALUE settings."""
        return [*self.fixed, *(f"{key}={value}" for key, value in point.items())]

    def samples(self) -> Iterator[tuple[str, list[list[str]]]]:
        """Each varied key with settings of two trials that differ in it alone, at the ends of what is searched."""
        first = {each.key: each.ends[0] for each in self.varied}
        for each in self.varied:
            yield each.key, [self.settings(first | {each.key: end}) for end in each.ends]

    def each_value(self) -> Iterator[list[str]]:
        """Settings in which every value of a list, and every end of a range, stands once at least."""
        first = {each.key: each.ends[0] for each in self.varied}
        for each in self.varied:
            for text in each.texts if isinstance(each, Values) else each.ends:
                yield self.settings(first | {each.key: text})


def parse_space(texts: Iterable[str]) -> Space:
    """The space of `KEY=VALUE` (fixed), `KEY=VALUE,VALUE` (a list) and `KEY=LOW..HIGH` (a range) settings.

    Raises:
        ConfigError: nothing is varied, a key stands twice, or a range has no two numbers in order.
    """
    fixed: list[str] = []
    varied: list[Values | Range] = []
    keys: set[str] = set()
    for text in texts:
        key, _, value = text.partition("=")
        key = key.strip()
        if key in keys:
            raise ConfigError(f"{key} is set twice: give all of its values at once, {key}=VALUE,VALUE")
        keys.add(key)
        low, dots, high = value.partition("..")
        if dots:
            varied.append(_range(key, low, high))
            continue
        found = read_value(key, f"[{value}]") if value.strip() else []
        if len(found) < 2:
            parse_setting(text)
            fixed.append(text)
            continue
        try:
            values = tuple(json.dumps(each, ensure_ascii=False) for each in found)
        except TypeError:
            raise ConfigError(
                f"{key}: {value!r} holds what is no plain value, such as a date; put it in quotes"
            ) from None
        if len(set(values)) < len(values):
            raise ConfigError(f"{key}: a value stands twice in {value!r}")
        varied.append(Values(key, values))
    if not varied:
        raise ConfigError(
            "nothing is searched: give a key several values (--set training.learning_rate=1e-5,3e-5) or a range "
            "(--set training.warmup=0.0..0.2)"
        )
    return Space(tuple(fixed), tuple(varied))


def _range(key: str, low: str, high: str) -> Range:
    ends = [read_value(key, end) for end in (low, high)]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in ends):
        raise ConfigError(f"{key}: {low}..{high} is no range: both ends are numbers, such as 0.03..0.1")
    if ends[0] >= ends[1]:
        raise ConfigError(f"{key}: {low}..{high} is no range: its first end is below its second")
    return Range(key, *ends)
