"""InfoNCE with in-batch negatives: the objective of SimCSE and of all that builds on it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from components.objectives.cosine import check_alike, check_negatives, check_temperature, cosine_matrix


def info_nce(anchor: Tensor, positive: Tensor, *, temperature: float, negatives: Tensor | None = None) -> Tensor:
    """Tell each anchor's positive from every other positive and from every negative.

        −log exp(cos(aᵢ, pᵢ)/τ) / (Σⱼ exp(cos(aᵢ, pⱼ)/τ) + Σₖ exp(cos(aᵢ, nₖ)/τ)), averaged over i

    SimCSE (Gao et al. 2021), equation 4; with a hard negative for each pair, equation 5. With a momentum queue as
    `negatives` it is the objective of ESimCSE (Wu et al. 2022), section 3.2.

    Args:
        anchor: (batch, dim), un-normalised.
        positive: (batch, dim); row i belongs to anchor i.
        temperature: τ > 0; SimCSE takes 0.05.
        negatives: (n, dim), any n: hard negatives, a queue, or both one below the other. Each is a negative of every
            anchor.

    Returns:
        A scalar ≥ 0; log(batch + n) where all cosines are equal.

    Raises:
        ValueError: shapes that do not fit, or a temperature that is not above 0.
    """
    check_alike(anchor=anchor, positive=positive)
    check_negatives(anchor, negatives)
    check_temperature(temperature)
    candidates = positive if negatives is None else torch.cat([positive, negatives])
    own = torch.arange(len(anchor), device=anchor.device)
    return F.cross_entropy(cosine_matrix(anchor, candidates) / temperature, own)
