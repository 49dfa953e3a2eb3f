import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from components.augmentation.shards import MADE_FROM, make_view
from components.augmentation.tokens import tokenise
from components.config import Params, load_params
from components.config.augmentation import Augmentation
from components.errors import ConfigError, DataError

TEXTS = [
    "the old river crosses the flatlands of the north, slowly, under a stone bridge.",
    "a stone bridge crosses the slow river.",
    "the north and the south.",
    "bridges",
    "slow rivers and old bridges.",
] * 9
VIEWS: dict[str, Any] = {
    "identity": {"kind": "identity"},
    "repetition": {"kind": "word_repetition"},
    "word": {"kind": "word_repetition", "unit": "word"},
    "shuffle": {"kind": "token_shuffle"},
    "cutoff": {"kind": "token_cutoff"},
    "mask": {"kind": "span_mask"},
}
CHUNK = 10  # 45 sentences: five shards


def with_seed(params: Params, seed: int) -> Params:
    return params.model_copy(update={"seed": seed})


class Stage:
    """A data folder with a corpus and a tokenizer, and the call that makes a view there."""

    def __init__(self, folder: Path, encoder: Path, row_group: int = 100) -> None:
        self.views = folder / "views"
        self.corpus = folder / "train.parquet"
        self.sources = encoder.parent
        ids = pa.array(range(1000, 1000 + len(TEXTS)), pa.int64())
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": ids, "text": TEXTS, "page": TEXTS}), self.corpus, row_group_size=row_group)

    def make(self, name: str, params: Params) -> dict[str, Any]:
        places = {"corpus": self.corpus, "sources": self.sources, "views": self.views}
        return make_view(name, params, chunk=CHUNK, **places)

    def table(self, name: str) -> pa.Table:
        return pq.read_table(self.views / name)

    def files(self, name: str) -> dict[str, bytes]:
        files = (path for path in sorted((self.views / name).iterdir()) if path.name != MADE_FROM)
        return {path.name: path.read_bytes() for path in files}


@pytest.fixture
def params() -> Params:
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    augmentation = Augmentation.model_validate({"max_length": 14, "views": VIEWS})
    return params.model_copy(update={"seed": 5, "augmentation": augmentation})


@pytest.fixture
def stage(tmp_path: Path, encoder: Path) -> Stage:
    return Stage(tmp_path / "data", encoder)


@pytest.fixture
def ready(stage: Stage, params: Params) -> Stage:
    stage.make("identity", params)
    return stage


def test_identity_holds_the_content_tokens(ready: Stage, tokenizer: PreTrainedTokenizerBase) -> None:
    assert ready.table("identity")["identity"].to_pylist() == tokenise(TEXTS, tokenizer, 14).lists()


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_row_aligned_with_the_corpus(ready: Stage, params: Params, name: str) -> None:
    ready.make(name, params)
    assert ready.table(name)["id"].to_pylist() == list(range(1000, 1000 + len(TEXTS)))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_a_list_of_int32(ready: Stage, params: Params, name: str) -> None:
    ready.make(name, params)
    columns = ["mask_near", "mask_far"] if name == "mask" else [name]
    assert {ready.table(name).schema.field(column).type.value_type for column in columns} == {pa.int32()}


def test_sentences_too_short_for_masks_are_null_and_counted(ready: Stage, params: Params) -> None:
    summary = ready.make("mask", params)
    nulls = [text == "bridges" for text in TEXTS]
    assert ready.table("mask")["mask_near"].is_null().to_pylist() == nulls
    assert ready.table("mask")["mask_far"].is_null().to_pylist() == nulls
    assert (summary["rows"], summary["left_out"]) == (45, 9)


def test_unit_word_repeats_whole_words(ready: Stage, params: Params, tokenizer: PreTrainedTokenizerBase) -> None:
    ready.make("word", params)
    single = tokenise(["bridges"], tokenizer, 14).lists()[0]
    found = {tuple(row) for row, text in zip(ready.table("word")["word"].to_pylist(), TEXTS, strict=True)
             if text == "bridges"}  # fmt: skip
    assert found <= {tuple(single), tuple(single * 2)}


@pytest.mark.parametrize("name", VIEWS)
def test_the_same_seed_gives_the_same_bytes_whatever_the_cores_and_row_groups(
    stage: Stage, params: Params, name: str, tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Stage(tmp_path / "other", encoder, row_group=7)
    for place, cores in ((stage, 1), (other, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        place.make("identity", params)
        place.make(name, params)
    assert stage.files(name) == other.files(name)


def test_another_seed_gives_another_view(ready: Stage, params: Params) -> None:
    ready.make("shuffle", params)
    first = ready.table("shuffle")
    ready.make("shuffle", with_seed(params, 6))
    assert ready.table("shuffle") != first


def test_chunks_do_not_repeat_each_other(ready: Stage, params: Params) -> None:
    ready.make("shuffle", params)
    rows = ready.table("shuffle")["shuffle"].to_pylist()
    assert rows[0:CHUNK] != rows[CHUNK : 2 * CHUNK]  # the corpus repeats with period 5


@pytest.fixture
def interrupted(ready: Stage, params: Params, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage of view `shuffle` broken off after two of its five shards."""
    write = pq.write_table
    left = [None, None]

    def breaks(*arguments: Any, **options: Any) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        write(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
        patch.setattr(pq, "write_table", breaks)
        with pytest.raises(KeyboardInterrupt):
            ready.make("shuffle", params)
    return ready


def test_an_interrupted_stage_leaves_no_view(interrupted: Stage) -> None:
    assert not (interrupted.views / "shuffle").exists()


def test_an_interrupted_stage_redoes_only_unfinished_shards(interrupted: Stage, params: Params) -> None:
    finished = {path.name: path.stat().st_ino for path in interrupted.views.glob(".shuffle.work/*/part-*.parquet")}
    assert len(finished) == 2
    interrupted.make("shuffle", params)
    assert {name: (interrupted.views / "shuffle" / name).stat().st_ino for name in finished} == finished


def test_an_interrupted_stage_ends_as_an_uninterrupted_one(
    interrupted: Stage, params: Params, tmp_path: Path, encoder: Path
) -> None:
    whole = Stage(tmp_path / "whole", encoder)
    whole.make("identity", params)
    for place in (whole, interrupted):
        place.make("shuffle", params)
    assert interrupted.files("shuffle") == whole.files("shuffle")


def test_shards_of_another_seed_are_not_taken_over(interrupted: Stage, params: Params) -> None:
    changed = with_seed(params, 6)
    interrupted.make("shuffle", changed)
    resumed = interrupted.files("shuffle")
    interrupted.make("shuffle", changed)
    assert interrupted.files("shuffle") == resumed


def test_nothing_but_views_is_left_behind(interrupted: Stage, params: Params) -> None:
    interrupted.make("shuffle", params)
    assert sorted(path.name for path in interrupted.views.iterdir()) == ["identity", "shuffle"]


def test_a_view_without_its_tokens_says_what_to_do(stage: Stage, params: Params) -> None:
    with pytest.raises(DataError, match="identity is missing; make it with: dvc repro views"):
        stage.make("shuffle", params)


def test_an_unknown_view_is_named(stage: Stage, params: Params) -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.views has no 'reverse'; it has identity, repetition"):
        stage.make("reverse", params)


def test_a_missing_corpus_says_what_to_do(stage: Stage, params: Params) -> None:
    stage.corpus.unlink()
    with pytest.raises(DataError, match=r"train.parquet is missing; make it with: dvc repro corpus"):
        stage.make("identity", params)


def test_a_truncated_corpus_says_what_to_do(stage: Stage, params: Params) -> None:
    stage.corpus.write_bytes(stage.corpus.read_bytes()[:100])
    with pytest.raises(DataError, match=r"no whole Parquet file .* dvc repro --force corpus"):
        stage.make("identity", params)


def test_a_folder_without_tokenizer_says_so(stage: Stage, params: Params, tmp_path: Path) -> None:
    stage.sources = tmp_path / "empty"
    (stage.sources / "encoder").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no readable transformers checkpoint"):
        stage.make("identity", params)


def test_masking_needs_a_mask_token(stage: Stage, params: Params, encoder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.mask_token = None
    stage.sources = tmp_path / "sources"
    tokenizer.save_pretrained(stage.sources / "encoder")
    stage.make("identity", params)
    with pytest.raises(ConfigError, match="view 'mask' needs a mask_token_id"):
        stage.make("mask", params)
