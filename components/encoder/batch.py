"""Sequences of unequal length as a few padded tensors: sorted by length, so that little is spent on padding."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch

from components.encoder.templates import TokenIds

HIDDEN = -1  # in the place of a token that takes no part: padding, and what a view cuts off


class TokenBatch(TypedDict):
    """`ids`: padded tensors (rows, tokens), int64; row i of the batch is row `place[i]` of their concatenation.

    `HIDDEN` stands at the end of the shorter rows, and where a view hides a token.
    """

    ids: list[torch.Tensor]
    place: torch.Tensor


def token_batch(sequences: Sequence[TokenIds], *, rows: int | None = None) -> TokenBatch:
    """Pack `sequences` into padded tensors of at most `rows` rows each (None: one tensor), longest first.

    A row's neighbours change no embedding in evaluation mode; in training only which dropout mask it draws.
    """
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
    step = rows or len(order)
    tensors = []
    for start in range(0, len(order), step):
        chosen = [sequences[i] for i in order[start : start + step]]
        padded = np.full((len(chosen), len(chosen[0])), HIDDEN, dtype=np.int64)
        for row, sequence in zip(padded, chosen, strict=True):
            row[: len(sequence)] = sequence
        tensors.append(torch.from_numpy(padded))
    place = torch.empty(len(order), dtype=torch.long)
    place[torch.tensor(order, dtype=torch.long)] = torch.arange(len(order))
    return {"ids": tensors, "place": place}


def select_rows(batch: TokenBatch, rows: torch.Tensor) -> TokenBatch:
    """The batch of `rows` (n,) alone, in that order, without padding anything anew."""
    places = batch["place"][rows]
    tensors, found, start = [], [], 0
    for ids in batch["ids"]:
        here = ((places >= start) & (places < start + len(ids))).nonzero().squeeze(1)
        if len(here):
            tensors.append(ids[places[here] - start])
            found.append(here)
        start += len(ids)
    place = torch.empty_like(places)
    place[torch.cat(found)] = torch.arange(len(places), device=places.device)
    return {"ids": tensors, "place": place}
