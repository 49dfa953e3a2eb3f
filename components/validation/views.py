"""Suite `views`: tokenised sentences in line with the corpus, and each view what its kind says.

Shards are read one at a time; of each sentence some booleans stay in memory, none of its tokens.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.augmentation.shards import view_names
from components.augmentation.tokens import Tokens, cumulative
from components.config import Params
from components.config.augmentation import Identity, WordRepetition, view_columns
from components.errors import DataError
from components.graph.plan import Demand
from components.paths import CORPUS, SOURCES, VIEWS, views_of
from components.validation.suite import Suite
from components.validation.view_checks import Check, Vocabulary, checks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPLITS = ("train", "heldout")


def files(params: Params) -> list[Path]:
    """What the suite reads: the shards of every view, and the corpus that they must be in line with."""
    folders = [root / split / name for root, _, names in _roots(params) for split in SPLITS for name in names]
    return [*(CORPUS / f"{split}.parquet" for split in SPLITS), *(shard for each in folders for shard in _shards(each))]


def suites(params: Params) -> Iterator[Suite]:
    """The shards of all views, then view by view its sentences.

    Raises:
        DataError: a view, the corpus or the encoder is missing.
    """
    from components.encoder.pretrained import load_tokenizer  # slow to import

    for root, _, names in _roots(params):
        for split in SPLITS:
            for name in names:
                yield _of_shards(root, split, name, params)
    for root, source, names in _roots(params):
        tokenizer = load_tokenizer(SOURCES / source)
        vocabulary = _vocabulary(tokenizer, params)
        for split in SPLITS:
            for name in names:
                yield _of_sentences(root, split, name, vocabulary, params)
            yield _anew(root, split, tokenizer, vocabulary, params)


def _roots(params: Params) -> Iterator[tuple[Path, str, list[str]]]:
    """Folders of views, each with the source whose tokenizer made them, and the views that must be there."""
    for source, needed in Demand.of(params).views.items():
        root = views_of(source, params.encoder.source)
        yield root, source, list(view_names(params, source, needed, root / SPLITS[0]))


def _named(root: Path, split: str, name: str) -> str:
    return (root / split / name).relative_to(VIEWS).as_posix()


def _of_shards(root: Path, split: str, name: str, params: Params) -> Suite:
    """A row for each shard: its columns, and whether it has as many sentences as the identity's."""
    shards, corpus = _shards(root / split / name), CORPUS / f"{split}.parquet"
    for path, there in ((root / split / name, bool(shards)), (corpus, corpus.is_file())):
        if not there:
            raise DataError(f"{path} is missing; run `dvc repro`")
    plain = _shards(root / split / params.augmentation.identity)
    rows = {shard.name: pq.read_metadata(shard).num_rows for shard in plain}
    frame = pd.DataFrame(
        {
            "shard": [shard.name for shard in shards],
            "columns": [_told(pq.read_schema(shard)) for shard in shards],
            "rows": [pq.read_metadata(shard).num_rows for shard in shards],
        }
    )
    frame["in_step"] = frame["rows"] == frame["shard"].map(rows)
    count, wanted = pq.read_metadata(corpus).num_rows, _told(_schema(name, params))
    expectations: list[gxe.Expectation] = [
        gxe.ExpectColumnValuesToBeInSet(column="columns", value_set=[wanted], description=f"the columns are {wanted}"),
        gxe.ExpectColumnSumToBeBetween(
            column="rows", min_value=count, max_value=count, description=f"there are {count} rows, as in {corpus}"
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="in_step", value_set=[True], description="a shard has as many rows as the identity's"
        ),
    ]
    return Suite(
        f"{_named(root, split, name)}: shards", frame, expectations, shown=["shard", "columns", "rows"], fatal=True
    )


def _of_sentences(root: Path, split: str, name: str, vocabulary: Vocabulary, params: Params) -> Suite:
    ids = pq.read_table(CORPUS / f"{split}.parquet", columns=["id"])["id"].to_numpy()
    identity, view = params.augmentation.identity, params.augmentation.views[name]
    found: list[list[Check]] = []
    row = 0
    for shard, plain in zip(_shards(root / split / name), _shards(root / split / identity), strict=True):
        table, base = pq.read_table(shard), _tokens(pq.read_table(plain, columns=[identity]), identity)
        own = table["id"].to_numpy()
        in_line = Check("in_line", "sentences stand in the corpus's order, by id", own == ids[row : row + len(own)])
        columns = [_tokens(table, column) for column in view_columns(name, params.augmentation.views[name])]
        found.append([in_line, *checks(view, columns, base, vocabulary, params.validation.views)])
        row += len(own)
    holds = {same[0].name: np.concatenate([each.holds for each in same]) for same in zip(*found, strict=True)}
    expectations: list[gxe.Expectation] = [
        gxe.ExpectColumnValuesToBeInSet(
            column=check.name, value_set=[True], mostly=1 - check.but_for, description=check.says
        )
        for check in found[0]
    ]
    return Suite(_named(root, split, name), pd.DataFrame({"id": ids} | holds), expectations, shown=["id"])


def _anew(
    root: Path, split: str, tokenizer: "PreTrainedTokenizerBase", vocabulary: Vocabulary, params: Params
) -> Suite:
    """Evenly spaced sentences tokenised once more, the slow way, and held against the identity."""
    identity = params.augmentation.identity
    table = pq.read_table(CORPUS / f"{split}.parquet", columns=["id", "text"])
    rows = np.arange(0, len(table), -(-len(table) // params.validation.views.tokenised_rows))
    sample = table.take(rows)
    wanted = tokenizer(
        sample["text"].to_pylist(), add_special_tokens=False, truncation=True, max_length=vocabulary.room
    )["input_ids"]
    stored = pq.read_table(root / split / identity, columns=[identity])[identity].take(rows).to_pylist()
    frame = pd.DataFrame(
        {
            "id": sample["id"].to_numpy(),
            "text": sample["text"].to_pylist(),
            "same": [left == right for left, right in zip(stored, wanted, strict=True)],
        }
    )
    same = gxe.ExpectColumnValuesToBeInSet(
        column="same", value_set=[True], description="tokenised anew, a sentence has the identity's tokens"
    )
    return Suite(f"{_named(root, split, identity)}: anew", frame, [same], shown=["id", "text"])


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def _schema(name: str, params: Params) -> pa.Schema:
    views = params.augmentation.views
    words = any(isinstance(view, WordRepetition) and view.unit == "word" for view in views.values())
    starts = [("word_starts", pa.list_(pa.bool_()))] if words and isinstance(views[name], Identity) else []
    tokens = [(column, pa.list_(pa.int32())) for column in view_columns(name, params.augmentation.views[name])]
    return pa.schema([("id", pa.int64()), *starts, *tokens])


def _told(schema: pa.Schema) -> str:
    return ", ".join(
        f"{field.name} {f'list of {field.type.value_type}' if pa.types.is_list(field.type) else field.type}"
        for field in schema
    )


def _tokens(table: pa.Table, column: str) -> Tokens:
    """A sentence without the view is empty."""
    lists = table[column].combine_chunks()
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    return Tokens(lists.flatten().to_numpy(), cumulative(lengths))


def _vocabulary(tokenizer: "PreTrainedTokenizerBase", params: Params) -> Vocabulary:
    special = [each for each in tokenizer.all_special_ids if each != tokenizer.unk_token_id]
    room = params.augmentation.max_length - tokenizer.num_special_tokens_to_add()
    return Vocabulary(
        len(tokenizer), np.array(special, np.int64), tokenizer.pad_token_id, tokenizer.mask_token_id, room
    )
