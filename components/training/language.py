"""Masked language modelling beside the objective: part of a batch's tokens are hidden, and have to be told."""

from typing import NamedTuple

import torch
from torch import Tensor

from components.encoder.batch import HIDDEN

MASKED, RANDOM = 0.8, 0.1  # shares of the chosen tokens (BERT, section 3.1); the rest stay as they are


class Vocabulary(NamedTuple):
    """`size` token ids, of which `special` (size,) are never chosen; `mask` is the id of the mask token."""

    size: int
    special: Tensor
    mask: int


def mask_tokens(ids: Tensor, vocabulary: Vocabulary, probability: float) -> tuple[Tensor, Tensor]:
    """`ids` (rows, tokens) with part of them hidden, and which were chosen, (rows, tokens), true there.

    Every token that is neither special nor `HIDDEN` is chosen by the chance `probability`, and of the chosen 80 %
    become the mask token, 10 % a random one (Devlin et al. 2019, section 3.1; SimCSE's code alike), by torch's state.
    """
    open_ = (ids != HIDDEN) & ~vocabulary.special.to(ids.device)[ids.clamp(min=0)]
    chosen = open_ & (torch.rand(ids.shape, device=ids.device) < probability)
    draw = torch.rand(ids.shape, device=ids.device)
    random = torch.randint(vocabulary.size, ids.shape, device=ids.device)
    masked = ids.where(~(chosen & (draw < MASKED)), vocabulary.mask)
    return masked.where(~(chosen & (draw >= MASKED) & (draw < MASKED + RANDOM)), random), chosen
