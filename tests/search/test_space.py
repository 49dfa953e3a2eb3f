"""What `--set` of a sweep means, and the one sentence for each mistake."""

import pytest

from components.errors import ConfigError
from components.search.space import Range, Values, parse_space

MISTAKES = {
    "nothing varied": (["seed=1"], "nothing is searched: give a key several values"),
    "twice": (["a=1,2", "a=3,4"], "a is set twice"),
    "a value twice": (["a=1,1"], "a value stands twice"),
    "order": (["a=2..1"], r"a: 2\.\.1 is no range: its first end is below its second"),
    "no number": (["a=x..1"], r"a: x\.\.1 is no range: both ends are numbers"),
    "no end": (["a=1.."], r"is no range"),
    "no YAML": (["a=1,{"], "a is no valid YAML"),
    "no key": (["a"], "'a' sets no key"),
    "a date": (["a=2024-01-01,2024-01-02"], "no plain value"),
}


@pytest.mark.parametrize(("texts", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence(texts: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_space(texts)


def test_a_single_value_is_fixed_and_lists_are_values() -> None:
    space = parse_space(["a=1", "b=[1, 2],[3]", "c=x,null"])
    assert space.fixed == ("a=1",) and space.varied == (Values("b", ("[1, 2]", "[3]")), Values("c", ('"x"', "null")))


def test_a_grid_has_every_combination_once() -> None:
    space = parse_space(["a=1e-5,3e-5", "b=1,2,3", "c=0"])
    points = [tuple(space.settings(point)) for point in space.grid()]
    assert space.is_grid and len(set(points)) == 6 and points[0] == ("c=0", "a=1e-05", "b=1")


@pytest.mark.parametrize(
    ("text", "whole", "log"), [("a=0.03..0.1", False, False), ("a=1e-6..1e-4", False, True), ("a=8..64", True, False)]
)
def test_a_range_knows_its_kind(text: str, whole: bool, log: bool) -> None:
    (found,) = parse_space([text]).varied
    assert isinstance(found, Range) and (found.is_whole, found.is_log) == (whole, log)
