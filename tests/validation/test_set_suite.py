"""Suite `sets`: what others made is held to the tuples' suite, whichever roles it fills."""

from pathlib import Path

import pytest

from components.config import Params
from components.config.sets import TupleSet
from components.config.validation import SetSuite
from components.config.variants import InfoNce, Part, Roles, Variant
from components.validation.report import Report
from components.validation.run import validate
from tests.validation.test_suites import ANIMALS, PAIRS, STSB, TUPLES, params, write

ROWS = [
    (f"The old {animal} was seen again near the river.", f"Somebody saw the {animal} there.", None, None, "{}")
    for animal in ANIMALS
]


def with_set(columns: dict[str, str]) -> Params:
    part = Part(set="sets/mine", roles=Roles(anchor="anchor", positive="positive"))
    own = Variant(description="pairs", data=[part], objective=[InfoNce(term="info_nce")])
    loaded = params()
    validation = loaded.validation.model_copy(update={"sets": SetSuite(min_rows=8, max_foreign=1.0)})
    mine = TupleSet(source="stsb", columns=columns)  # type: ignore[arg-type]
    experiment = loaded.experiment.model_copy(update={"variants": ["own"]})
    changed = {"sets": {"mine": mine}, "variants": loaded.variants | {"own": own}, "validation": validation}
    return loaded.model_copy(update=changed | {"experiment": experiment})


def report(columns: dict[str, str]) -> Report:
    return validate("sets", with_set(columns))[0]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("data/sets/mine.parquet", ROWS, TUPLES)
    write("data/sts/STSB.parquet", STSB, PAIRS)


def failed(told: Report) -> list[str]:
    return [each["expectation"] for each in told["expectations"] if not each["passed"]]


def test_pairs_without_a_negative_pass() -> None:
    assert failed(report({"anchor": "a", "positive": "b"})) == []


def test_a_role_that_is_named_must_be_filled() -> None:
    assert "no negative is null" in failed(report({"anchor": "a", "positive": "b", "negative": "c"}))


def test_a_sentence_of_an_sts_task_is_found() -> None:
    write("data/sets/mine.parquet", [*ROWS[1:], ("A dog runs.", "Some dog ran off.", None, None, "{}")], TUPLES)
    assert any("are an STS sentence" in each for each in failed(report({"anchor": "a", "positive": "b"})))
