import pyarrow as pa
import pytest

from components.synthesis import PATTERNS, SCHEMA, handwritten


@pytest.fixture(params=PATTERNS)
def tuples(request: pytest.FixtureRequest) -> pa.Table:
    return handwritten(request.param)


def words(text: str) -> list[str]:
    return text.casefold().replace(",", "").rstrip(".").split()


def test_both_patterns_have_the_one_schema(tuples: pa.Table) -> None:
    assert tuples.schema == SCHEMA


def test_there_are_enough_to_train_on(tuples: pa.Table) -> None:
    assert tuples.num_rows >= 120


def test_no_sentence_stands_twice_in_either_pattern() -> None:
    columns = ["anchor", "positive", "intermediate", "negative"]
    tables = [handwritten(pattern) for pattern in PATTERNS]
    texts = [text for table in tables for column in columns for text in table[column].to_pylist() if text is not None]
    seen = {" ".join(words(text)) for text in texts}
    assert len(seen) == len(texts)


def test_all_say_who_made_them(tuples: pa.Table) -> None:
    assert set(tuples["provenance"].to_pylist()) == {"handwritten"}


def test_anchors_have_a_sentence_length(tuples: pa.Table) -> None:
    assert all(8 <= len(words(anchor)) <= 30 for anchor in tuples["anchor"].to_pylist())


def test_every_text_is_one_sentence_without_margins(tuples: pa.Table) -> None:
    texts = [text for column in ("anchor", "positive", "negative") for text in tuples[column].to_pylist()]
    assert [text for text in texts if text != text.strip() or not text.endswith(".")] == []


def test_nli_has_no_intermediate_level() -> None:
    assert handwritten("nli")["intermediate"].null_count == handwritten("nli").num_rows


def test_sts_intermediates_are_shorter_than_anchor_and_positive() -> None:
    rows = handwritten("sts").to_pylist()
    longest = [len(words(row["intermediate"])) for row in rows]
    bounds = [min(len(words(row["anchor"])), len(words(row["positive"]))) for row in rows]
    assert all(length < bound for length, bound in zip(longest, bounds, strict=True))
