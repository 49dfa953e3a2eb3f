"""Suite `sets`: what others made is held to the tuples' suite, whichever roles it fills."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.config import Params
from components.config.sets import Columns, TupleSet
from components.config.validation import SetSuite
from components.config.variants import InfoNce, Part, Roles, Variant
from components.validation.report import Report
from components.validation.run import validate
from tests.validation.test_suites import ANIMALS, PAIRS, STSB, TUPLES, params, write

ROWS = [
    (f"The old {animal} was seen again near the river.", f"Somebody saw the {animal} there.", None, None, "{}")
    for animal in ANIMALS
]


def with_set(columns: dict[str, Any]) -> Params:
    part = Part(set="sets/mine", roles=Roles(anchor="anchor", positive="positive"))
    own = Variant(description="pairs", data=[part], objective=[InfoNce(term="info_nce")])
    loaded = params()
    validation = loaded.validation.model_copy(update={"sets": SetSuite(min_rows=8, max_foreign=1.0)})
    mine = TupleSet(source="stsb", columns=Columns(**columns))  # type: ignore[arg-type]
    experiment = loaded.experiment.model_copy(update={"variants": ["own"]})
    changed = {"sets": {"mine": mine}, "variants": loaded.variants | {"own": own}, "validation": validation}
    return loaded.model_copy(update=changed | {"experiment": experiment})


def report(columns: dict[str, Any]) -> Report:
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
    assert any(
        "are a sentence of an evaluation task" in each for each in failed(report({"anchor": "a", "positive": "b"}))
    )


def test_several_negatives_are_looked_at() -> None:
    table = pq.read_table("data/sets/mine.parquet")
    others = [f"Nobody has ever met a {animal} of that kind." for animal in ANIMALS]
    table = table.append_column("negative_1", pa.array(others)).append_column("negative_2", pa.array(others))
    pq.write_table(table, "data/sets/mine.parquet")
    told = failed(report({"anchor": "a", "positive": "b", "negatives": ["c", "d"]}))
    assert told == ["in at most 0.02 of the tuples are two texts the same, case and white space aside"]


def test_a_sentence_of_a_transfer_task_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "data/sources/stsb/MR"
    folder.mkdir(parents=True)
    for name, text in (("pos", ROWS[0][0]), ("neg", "A dull film .")):
        (folder / f"rt-polarity.{name}").write_text(f"{text}\n")
    changed = with_set({"anchor": "a", "positive": "b"})
    evaluation = changed.evaluation.model_copy(update={"transfer": {"MR": "stsb"}})
    told = failed(validate("sets", changed.model_copy(update={"evaluation": evaluation}))[0])
    assert any("are a sentence of an evaluation task" in each for each in told)


def test_plain_sentences_pass() -> None:
    rows = [(row[0], None, None, None, "{}") for row in ROWS]
    write("data/sets/mine.parquet", rows, TUPLES)
    assert failed(report({"anchor": "a"})) == []
