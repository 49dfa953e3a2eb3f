"""Packing sequences and taking rows out again."""

import numpy as np
import pytest
import torch

from components.encoder.batch import HIDDEN, TokenBatch, select_rows, token_batch
from components.encoder.templates import TokenIds

SEQUENCES = [np.arange(1, 1 + length, dtype=np.int32) * (row + 1) for row, length in enumerate([3, 7, 1, 7, 5, 2, 4])]


def unpacked(batch: TokenBatch) -> list[list[int]]:
    """The batch's sequences in its own order, without padding."""
    rows = [row[row != HIDDEN].tolist() for ids in batch["ids"] for row in ids]
    return [rows[place] for place in batch["place"].tolist()]


def lists(sequences: list[TokenIds]) -> list[list[int]]:
    return [sequence.tolist() for sequence in sequences]


@pytest.mark.parametrize("rows", [None, 1, 3, 7, 100])
def test_packed_sequences_come_out_in_their_order(rows: int | None) -> None:
    assert unpacked(token_batch(SEQUENCES, rows=rows)) == lists(SEQUENCES)


def test_no_tensor_has_more_rows_than_asked_for() -> None:
    assert [len(ids) for ids in token_batch(SEQUENCES, rows=3)["ids"]] == [3, 3, 1]


def test_sorting_keeps_padding_small() -> None:
    assert [ids.shape[1] for ids in token_batch(SEQUENCES, rows=3)["ids"]] == [7, 4, 1]


@pytest.mark.parametrize("rows", [None, 2, 3])
@pytest.mark.parametrize("chosen", [[0, 1, 2, 3, 4, 5, 6], [5, 0, 3], [2], [6, 6, 1]])
def test_selected_rows_are_those_sequences(rows: int | None, chosen: list[int]) -> None:
    selected = select_rows(token_batch(SEQUENCES, rows=rows), torch.tensor(chosen))
    assert unpacked(selected) == lists([SEQUENCES[i] for i in chosen])
