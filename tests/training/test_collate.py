"""From rows to one batch: who is encoded, and who plays which role."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from components import paths
from components.augmentation.tokens import Tokens
from components.config.encoder import Encoder
from components.config.variants import Part, Roles
from components.encoder.batch import HIDDEN
from components.encoder.model import SentenceEncoder
from components.encoder.templates import TokenIds
from components.errors import DataError
from components.training.collate import Batch, Collator
from components.training.rows import PartRows, Rows, TextColumn, load_part

BEGIN, END = 2, 3  # [CLS] and [SEP] of the tiny encoder
ABSENT = None


class Listed:
    """A column from a list of token ids; None where a row has none."""

    def __init__(self, rows: Sequence[list[int] | None]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: Rows) -> list[TokenIds | None]:
        found = [self._rows[row] for row in rows]
        return [None if ids is None else np.array(ids, dtype=np.int32) for ids in found]

    def present(self) -> NDArray[np.bool_]:
        return np.array([row is not None for row in self._rows])


def part(roles: dict[str, object], **columns: list[list[int] | None]) -> PartRows:
    listed = {name: Listed(rows) for name, rows in columns.items()}
    rows = np.arange(len(next(iter(listed.values()))))
    return PartRows(Part(set="corpus", roles=Roles.model_validate(roles)), listed, rows, listed, rows)


@pytest.fixture(scope="module")
def encoder(tiny_encoder: Path) -> SentenceEncoder:
    return SentenceEncoder.load(tiny_encoder, Encoder())


def players(batch: Batch) -> dict[str, list[list[int]]]:
    """For each role the token ids that play it, template and padding taken off."""
    rows = [[i for i in row.tolist() if i not in (HIDDEN, BEGIN, END)] for ids in batch["tokens"]["ids"] for row in ids]
    place = batch["tokens"]["place"].tolist()
    return {role: [rows[place[i]] for i in chosen.tolist()] for role, chosen in batch["roles"].items()}


def encoded(batch: Batch) -> int:
    return len(batch["tokens"]["place"])


PAIRS = part({"anchor": "a", "positive": "a"}, a=[[10, 11, 12], [13], [14, 15]])
MASKED = part(
    {"anchor": "a", "positive": "a", "near": "n", "far": "f"},
    a=[[20, 21], [22], [23, 24]],
    n=[[30, 21], ABSENT, [30, 24]],
    f=[[30, 30], ABSENT, [30, 30]],
)
GRADED = part(
    {"anchor": "a", "positive": "i", "levels": ["p", "i", "n"]},
    a=[[40], [41]],
    p=[[50], [51]],
    i=[[60], [61]],
    n=[[70], [71]],
)
HARD = part({"anchor": "a", "positive": "p", "negative": "n"}, a=[[80]], p=[[81]], n=[[82]])


def test_every_role_is_played_by_its_own_text(encoder: SentenceEncoder) -> None:
    batch = Collator([PAIRS, HARD], encoder, rows=2)([(1, 0), (0, 2), (0, 0)])
    assert players(batch) == {
        "anchor": [[14, 15], [10, 11, 12], [80]],
        "positive": [[14, 15], [10, 11, 12], [81]],
        "negative_0": [[82]],
        "hard_anchor_0": [[80]],
    }


def test_several_negatives_are_told_apart_by_their_place(encoder: SentenceEncoder) -> None:
    more = part(
        {"anchor": "a", "positive": "p", "negatives": ["n", "m"]},
        a=[[90], [91]],
        p=[[92], [93]],
        n=[[94], [95]],
        m=[[96], [97]],
    )
    batch = Collator([HARD, more], encoder)([(0, 0), (1, 0), (1, 1)])
    found = players(batch)
    assert (found["negative_0"], found["negative_1"]) == ([[82], [94], [95]], [[96], [97]])
    assert (found["hard_anchor_0"], found["hard_anchor_1"]) == ([[80], [90], [91]], [[90], [91]])


def test_two_dropout_views_of_one_text_are_encoded_apart(encoder: SentenceEncoder) -> None:
    batch = Collator([PAIRS], encoder)([(0, 0)])
    assert batch["roles"]["anchor"].tolist() != batch["roles"]["positive"].tolist()


def test_rows_without_masks_are_left_out_of_the_triplets_alone(encoder: SentenceEncoder) -> None:
    batch = Collator([MASKED], encoder)([(0, 0), (0, 1), (0, 2)])
    assert players(batch) == {
        "anchor": [[20, 21], [22], [23, 24]],
        "positive": [[20, 21], [22], [23, 24]],
        "triplet_anchor": [[20, 21], [23, 24]],
        "near": [[30, 21], [30, 24]],
        "far": [[30, 30], [30, 30]],
    }


def test_no_role_of_a_triplet_stands_in_a_batch_without_masks(encoder: SentenceEncoder) -> None:
    assert Collator([MASKED], encoder)([(0, 1)])["roles"].keys() == {"anchor", "positive"}


def test_levels_are_those_of_the_graded_anchors(encoder: SentenceEncoder) -> None:
    batch = Collator([PAIRS, GRADED], encoder)([(0, 1), (1, 0), (1, 1)])
    assert players(batch) == {
        "anchor": [[13], [40], [41]],
        "positive": [[13], [60], [61]],
        "graded_anchor": [[40], [41]],
        "level_0": [[50], [51]],
        "level_1": [[60], [61]],
        "level_2": [[70], [71]],
    }


def test_a_level_that_is_the_positive_shares_its_embedding(encoder: SentenceEncoder) -> None:
    batch = Collator([GRADED], encoder)([(0, 0), (0, 1)])
    assert (encoded(batch), batch["roles"]["level_1"].tolist()) == (8, batch["roles"]["positive"].tolist())


def test_a_triplet_takes_the_anchor_that_info_nce_takes(encoder: SentenceEncoder) -> None:
    batch = Collator([MASKED], encoder)([(0, 0)])
    assert batch["roles"]["triplet_anchor"].tolist() == batch["roles"]["anchor"].tolist()


def test_anchors_and_other_views_have_their_own_prompts(tiny_encoder: Path) -> None:
    settings = Encoder(pooling="prompt_mask", templates=["this [X] is [MASK]", "a [X] [MASK]"])
    prompted = SentenceEncoder.load(tiny_encoder, settings)
    batch = Collator([HARD], prompted)([(0, 0)])
    words = {role: prompted.tokenizer.convert_ids_to_tokens(rows[0])[0] for role, rows in players(batch).items()}
    assert words == {"anchor": "this", "positive": "a", "negative_0": "a", "hard_anchor_0": "this"}


def test_tuples_may_have_the_first_prompt_on_every_side(tiny_encoder: Path) -> None:
    settings = Encoder(pooling="prompt_mask", templates=["this [X] is [MASK]", "a [X] [MASK]"])
    prompted = SentenceEncoder.load(tiny_encoder, settings)
    tuples = HARD._replace(part=HARD.part.model_copy(update={"prompts": "first"}))
    batch = Collator([PAIRS, tuples], prompted)([(0, 0), (1, 0)])
    words = {
        role: [prompted.tokenizer.convert_ids_to_tokens(row)[0] for row in rows]
        for role, rows in players(batch).items()
    }
    assert words == {
        "anchor": ["this", "this"],
        "positive": ["a", "this"],
        "negative_0": ["this"],
        "hard_anchor_0": ["this"],
    }


def views(folder: Path, **columns: list[list[int] | None]) -> None:
    for split in ("train", "heldout"):
        for name, rows in columns.items():
            view = folder / paths.VIEWS / split / name
            view.mkdir(parents=True)
            pq.write_table(pa.table({name: pa.array(rows, pa.list_(pa.int32()))}), view / "part-00000.parquet")


def no_tokeniser(texts: Sequence[str]) -> Tokens:
    raise AssertionError("views are tokenised already")


def test_rows_whose_positive_is_missing_are_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    views(tmp_path, whole=[[1], [2], [3]], masked=[[4], None, [4]])
    loaded = load_part(Part(set="corpus", roles=Roles(anchor="whole", positive="masked")), no_tokeniser, seed=0)
    assert (loaded.rows.tolist(), loaded.heldout.tolist()) == ([0, 2], [0, 2])


def test_rows_whose_masks_are_missing_are_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    views(tmp_path, whole=[[1], [2]], masked=[[4], None], more=[[4], None])
    roles = Roles(anchor="whole", positive="whole", near="masked", far="more")
    assert load_part(Part(set="corpus", roles=roles), no_tokeniser, seed=0).rows.tolist() == [0, 1]


def test_no_row_left_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    views(tmp_path, whole=[[1], [2]], masked=[None, None])
    with pytest.raises(DataError, match="no row of the train split has all of whole, masked"):
        load_part(Part(set="corpus", roles=Roles(anchor="whole", positive="masked")), no_tokeniser, seed=0)


def test_views_of_different_length_are_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    views(tmp_path, whole=[[1], [2]], masked=[[1]])
    with pytest.raises(DataError, match="views of the train split differ in their number of rows"):
        load_part(Part(set="corpus", roles=Roles(anchor="whole", positive="masked")), no_tokeniser, seed=0)


def test_a_missing_view_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"no view 'whole' under data/views/train; name a variant .*run `dvc repro`"):
        load_part(Part(set="corpus", roles=Roles(anchor="whole", positive="whole")), no_tokeniser, seed=0)


def test_equal_token_ids_have_equal_digests_in_views_and_in_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows: list[list[int] | None] = [[1, 2], None, [2, 1], [1, 2, 2], [1, 2]]
    views(tmp_path, whole=[*rows[:1], [9], *rows[2:]], masked=rows)
    part = load_part(Part(set="corpus", roles=Roles(anchor="whole", positive="masked")), no_tokeniser, seed=0)
    stored = part.texts(np.arange(5))
    column = TextColumn(Tokens(np.array([1, 2, 2, 1], dtype=np.int32), np.array([0, 2, 2, 4])))
    assert stored[:, 1].tolist() == [a if row else 0 for a, row in zip(stored[:, 0].tolist(), rows, strict=True)]
    assert column.digests().tolist() == [int(stored[0, 1]), 0, int(stored[2, 1])]
    assert len(set(stored[:, 0].tolist())) == 4 and stored[0, 0] == stored[4, 0]
