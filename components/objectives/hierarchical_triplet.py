"""The hierarchical triplet (HT) of NGCSE: an order among more than two sentences."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from components.objectives.cosine import check_alike, cosine


def hierarchical_triplet(anchor: Tensor, levels: Sequence[Tensor], *, margins: Sequence[float]) -> Tensor:
    """Keep every level nearer to its anchor than the level after it.

        meanₖ meanᵢ max(0, cos(aᵢ, levelₖ₊₁ᵢ) − cos(aᵢ, levelₖᵢ) + mₖ)

    NGCSE (Li et al. 2024): the levels of a generated quadruple are positive, intermediate and negative; m is
    (5e-3, 5e-2) on Wikipedia and (5e-3, 1e-1) on NLI.

    Args:
        anchor: (batch, dim), un-normalised.
        levels: at least two of (batch, dim), from most to least similar.
        margins: one fewer than `levels`, in units of cosine.

    Returns:
        A scalar in [0, 2 + mean of the margins] for margins ≥ 0.

    Raises:
        ValueError: shapes that do not fit, fewer than two levels, or a number of margins that is not one fewer.
    """
    if len(levels) < 2 or len(margins) != len(levels) - 1:
        raise ValueError(f"{len(levels)} levels with {len(margins)} margins: at least two levels, one margin fewer")
    check_alike(anchor=anchor, **{f"levels[{k}]": level for k, level in enumerate(levels)})
    cosines = torch.stack([cosine(anchor, level) for level in levels])
    steps = torch.tensor(list(margins), dtype=cosines.dtype, device=cosines.device).unsqueeze(1)
    return F.relu(cosines[1:] - cosines[:-1] + steps).mean()
