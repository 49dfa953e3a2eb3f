"""Suite `views` on a small project made by the real components, and on faults put into it one by one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.augmentation.tokens import Tokens
from components.config import Params, load_params
from components.config.augmentation import Identity, SpanMask, TokenCutoff, TokenShuffle, View, WordRepetition
from components.config.validation import ViewSuite
from components.errors import DataError
from components.validation.run import validate
from components.validation.view_checks import Vocabulary, checks
from tests.project import make_project

PAD, CLS, MASK = 0, 1, 2
VOCABULARY = Vocabulary(size=100, special=np.array([PAD, CLS, MASK]), pad=PAD, mask=MASK, room=10)
SENTENCE = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
REPETITION, SHUFFLE = WordRepetition(kind="word_repetition"), TokenShuffle(kind="token_shuffle")
CUTOFF, SPANS = TokenCutoff(kind="token_cutoff", rate=0.2), SpanMask(kind="span_mask")
DELETED = TokenCutoff(kind="token_cutoff", rate=0.2, delete=True)
ANY_ORDER = TokenShuffle(kind="token_shuffle", differs=False)
WORDS = WordRepetition(kind="word_repetition", unit="word")


def faults(view: View, *columns: list[int], base: list[int] = SENTENCE) -> set[str]:
    """Names of the checks that a sentence does not meet."""
    tokens = [Tokens.of([column]) for column in columns]
    return {
        each.name for each in checks(view, tokens, Tokens.of([base]), VOCABULARY, ViewSuite()) if not each.holds.all()
    }


def hidden(by: int, *places: int) -> list[int]:
    return [by if place in places else token for place, token in enumerate(SENTENCE)]


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        (Identity(kind="identity"), [SENTENCE]),
        (REPETITION, [[11, 11, 12, 13, 13, *SENTENCE[3:]]]),
        (WORDS, [[11, 12, 11, 12, *SENTENCE[2:]]]),
        (SHUFFLE, [SENTENCE[::-1]]),
        (CUTOFF, [hidden(PAD, 3, 7)]),
        (DELETED, [[*SENTENCE[:3], *SENTENCE[4:9]]]),
        (ANY_ORDER, [SENTENCE]),
        (SPANS, [hidden(MASK, 3, 4), hidden(MASK, 2, 3, 4, 5)]),
    ],
)
def test_a_sound_view_has_no_fault(view: View, columns: list[list[int]]) -> None:
    assert faults(view, *columns) == set()


@pytest.mark.parametrize(
    ("view", "columns", "found"),
    [
        (REPETITION, [[11, *SENTENCE, *SENTENCE]], {"longer", "repeats"}),
        (REPETITION, [[*SENTENCE, 11]], {"repeats"}),
        (REPETITION, [SENTENCE], {"changed"}),
        (REPETITION, [[11, 11, *SENTENCE[1:9], 100]], {"known", "repeats"}),
        (WORDS, [[*SENTENCE, 21]], {"repeats"}),
        (SHUFFLE, [SENTENCE], {"changed"}),
        (SHUFFLE, [[*SENTENCE[:8], 20, 20]], {"same"}),
        (SHUFFLE, [[*SENTENCE[:0:-1], CLS]], {"plain", "same"}),
        (CUTOFF, [hidden(PAD, 3)], {"cut_off"}),
        (CUTOFF, [hidden(MASK, 3, 7)], {"plain", "kept", "cut_off"}),
        (CUTOFF, [hidden(PAD, 3, 7)[:9]], {"kept"}),
        (DELETED, [hidden(PAD, 3, 7)], {"plain", "kept", "cut_off"}),
        (DELETED, [SENTENCE[1:]], {"cut_off"}),
        (DELETED, [[11, 11, *SENTENCE[4:]]], {"kept"}),
        (SPANS, [hidden(MASK, 3, 5), hidden(MASK, 2, 3, 4, 5)], {"near"}),
        (SPANS, [hidden(MASK, 3, 4), hidden(MASK, 4, 5, 6, 7)], {"nested"}),
        (SPANS, [hidden(MASK, 3, 4), hidden(MASK, 2, 3, 4)], {"far"}),
        (SPANS, [[], hidden(MASK, 2, 3, 4, 5)], {"there"}),
        (SPANS, [[], []], {"there"}),
    ],
)
def test_each_fault_of_a_view_is_found(view: View, columns: list[list[int]], found: set[str]) -> None:
    assert faults(view, *columns) == found


def test_a_sentence_that_can_not_differ_need_not() -> None:
    assert faults(SHUFFLE, [11, 11], base=[11, 11]) == set()
    assert faults(CUTOFF, [11], base=[11]) == set()
    assert faults(SPANS, [], [], base=[11, 12]) == set()


def test_long_and_empty_sentences_are_found() -> None:
    assert faults(Identity(kind="identity"), [*SENTENCE, 21], base=[*SENTENCE, 21]) == {"cut"}
    assert faults(Identity(kind="identity"), [], base=[]) == {"filled"}


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    make_project(tmp_path, tiny_encoder)
    monkeypatch.chdir(tmp_path)
    return load_params()


def failed(params: Params) -> list[str]:
    report, _ = validate("views", params)
    return [f"{each['suite']}: {each['expectation']}" for each in report["expectations"] if not each["passed"]]


def rewrite(path: str, change: Callable[[pa.Table], pa.Table]) -> None:
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def test_views_as_made_pass(project: Params) -> None:
    assert failed(project) == []


def test_a_row_too_few_ends_the_suite(project: Params) -> None:
    rewrite("data/views/train/token_shuffle/part-00000.parquet", lambda table: table.slice(1))
    assert failed(project) == [
        "train/token_shuffle: shards: there are 120 rows, as in data/corpus/train.parquet",
        "train/token_shuffle: shards: a shard has as many rows as the identity's",
    ]


def test_another_type_ends_the_suite(project: Params) -> None:
    def wider(table: pa.Table) -> pa.Table:
        return table.set_column(1, "token_cutoff", table["token_cutoff"].cast(pa.list_(pa.int64())))

    rewrite("data/views/heldout/token_cutoff/part-00000.parquet", wider)
    assert failed(project) == ["heldout/token_cutoff: shards: the columns are id int64, token_cutoff list of int32"]


def test_another_order_than_the_corpus_is_found(project: Params) -> None:
    rewrite("data/views/train/span_mask/part-00000.parquet", lambda table: table.take(np.arange(120)[::-1]))
    assert "train/span_mask: sentences stand in the corpus's order, by id" in failed(project)


def test_views_of_another_corpus_are_found(project: Params) -> None:
    def other(table: pa.Table) -> pa.Table:
        texts = [f"the new house saw {text}" for text in table["text"].to_pylist()]
        return table.set_column(1, "text", pa.array(texts))

    rewrite("data/corpus/train.parquet", other)
    assert failed(project) == ["train/identity: anew: tokenised anew, a sentence has the identity's tokens"]


def test_a_missing_view_is_told(project: Params) -> None:
    next(Path("data/views/heldout/span_mask").glob("part-*.parquet")).unlink()
    with pytest.raises(DataError, match=r"data/views/heldout/span_mask is missing; run `dvc repro`"):
        validate("views", project)
