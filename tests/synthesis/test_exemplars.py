"""Exemplars: by score band from STS-B, from the profile's NLI set or our own file."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.config.synthesis import Exemplars, Filters
from components.errors import ConfigError, DataError
from components.paths import NLI, STS_TRAIN
from components.synthesis.exemplars import ByRole, draw_exemplars
from components.synthesis.filters import Judge

ANIMALS = ["dog", "horse", "owl", "fox"]
ROWS = 6  # of STS-B for each animal


def draw(pattern: str, seed: int = 0, **settings: Any) -> ByRole:
    chosen = Exemplars(**({"count": 2, "min_words": 6} | settings))
    return draw_exemplars(pattern, chosen, seed, "en", Judge(pattern, Filters(), "en"))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STS-B's train split with six rows for each animal, of which one suits each role; anchors differ by the role."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for animal in ANIMALS:
        for place, other, score in (
            ("field", f"One aged {animal} is standing in a field.", 4.8),
            ("wood", f"The {animal} stands there.", 3.5),
            ("wood", f"An old {animal} is standing in a very large wood.", 3.9),  # no shorter
            ("road", f"The men saw no {animal} in the town.", 0.9),
            ("road", f"an old {animal} by the field", 5.0),  # no whole sentence
            ("field", f"An old {animal} is standing in the green field.", 5.0),  # a near copy
        ):
            rows.append({"first": f"An old {animal} stands in the green {place}.", "second": other, "score": score})
    write(STS_TRAIN, rows)


@pytest.mark.parametrize(("role", "row"), [("positive", 0), ("intermediate", 1), ("negative", 3)])
def test_sts_exemplars_are_of_their_roles_band(role: str, row: int) -> None:
    drawn = draw("sts", count=4)[role]
    assert sorted(int(each.id.removeprefix("STSB-train:")) for each in drawn) == [row + ROWS * k for k in range(4)]


def test_what_would_be_rejected_as_an_answer_is_not_shown() -> None:
    rows = [
        {"first": f"An old {animal} stands in the green field.", "second": second, "score": 4.8}
        for animal in ANIMALS
        for second in (f"One aged {animal} is standing in a field.", f"One aged {animal} is standing near Paris.")
    ]
    write(STS_TRAIN, rows)
    with pytest.raises(ConfigError, match="only 4 of the 5 exemplars for positive"):
        draw("sts", count=5)


def test_none_is_longer_than_its_anchor_by_more_than_is_allowed() -> None:
    assert len(draw("sts", count=4, max_ratio=9 / 8)["positive"]) == 4
    with pytest.raises(ConfigError, match="only 0 of the 4 exemplars for positive"):
        draw("sts", count=4, max_ratio=7 / 8)


def test_the_seed_draws_them() -> None:
    assert draw("sts", 1) == draw("sts", 1)
    assert len({draw("sts", seed)["positive"][0].id for seed in range(10)}) > 1


def test_too_few_say_what_to_widen() -> None:
    with pytest.raises(ConfigError, match=r"only 4 of the 5 exemplars for positive of pattern sts .* widen"):
        draw("sts", count=5)


def test_what_every_role_lacks_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        draw("sts", count=5, max_ratio=7 / 8)
    assert "only 0 of the 5 exemplars for positive" in str(error.value)
    assert "only 4 of the 5 exemplars for intermediate" in str(error.value)
    assert "of 12 candidates" in str(error.value) and "above max_ratio" in str(error.value)


def test_a_source_without_a_train_split_is_named() -> None:
    STS_TRAIN.unlink()
    with pytest.raises(DataError, match="needs its train split"):
        draw("sts")


def test_nli_exemplars_are_our_own_without_an_nli_set() -> None:
    drawn = draw("nli", count=3)
    assert {role: len(chosen) for role, chosen in drawn.items()} == {"positive": 3, "negative": 3}
    assert all(each.id.startswith("nli-own:") for chosen in drawn.values() for each in chosen)


def test_nli_exemplars_come_from_the_profiles_set() -> None:
    rows = [
        {
            "anchor": f"The {animal} was seen near the old river.",
            "positive": f"Somebody has seen the {animal} by a river.",
            "negative": f"Nobody has seen the {animal} by a river.",
        }
        for animal in ANIMALS
    ]
    write(NLI / "train.parquet", rows)
    exemplar = draw("nli", count=1)["negative"][0]
    row = rows[int(exemplar.id.removeprefix("nli-train:"))]
    assert (exemplar.anchor, exemplar.text) == (row["anchor"], row["negative"])


def test_no_sentence_stands_in_two_exemplars() -> None:
    same = {
        "anchor": "The dog was seen near the old river.",
        "positive": "Somebody has seen it by a river.",
        "negative": "Nobody has seen it by a river.",
    }
    write(NLI / "train.parquet", [same, same | {"anchor": "The owl was seen near the old river."}])
    with pytest.raises(ConfigError, match="only 1 of the 2"):
        draw("nli")
