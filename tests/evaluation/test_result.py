"""Runs of one variant under different settings are no seeds of it."""

from components.evaluation.result import RunResult, told_apart


def run(seed: int = 0, **settings: str) -> RunResult:
    return RunResult("simcse", seed, f"{seed}", {}, settings={"seed": str(seed), **settings})


def names(*runs: RunResult) -> list[str]:
    return [each.variant for each in told_apart(runs)]


def test_seeds_keep_the_variant_s_name() -> None:
    assert names(run(0, rate="1"), run(1, rate="1")) == ["simcse", "simcse"]


def test_a_setting_that_differs_is_in_the_name() -> None:
    assert names(run(rate="1", epochs="1"), run(rate="2", epochs="1")) == ["simcse (rate=1)", "simcse (rate=2)"]
    assert names(run(), run(rate="2")) == ["simcse (rate=unset)", "simcse (rate=2)"]


def test_how_a_run_is_laid_out_is_no_difference() -> None:
    assert names(run(**{"training.processes": "1"}), run(**{"training.processes": "2"})) == ["simcse", "simcse"]


def test_many_settings_are_cut_short_and_still_tell_apart() -> None:
    first, second = (dict.fromkeys("abcd", value) for value in "12")
    third = second | {"d": "3"}
    found = names(run(**first), run(**second), run(**third))
    assert len(set(found)) == 3 and all("1 more" in name for name in found)
