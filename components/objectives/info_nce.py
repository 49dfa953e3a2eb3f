"""InfoNCE with in-batch negatives: the objective of SimCSE and of all that builds on it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from components.objectives.cosine import check_alike, check_negatives, check_temperature, cosine_matrix, without


def info_nce(
    anchor: Tensor,
    positive: Tensor,
    *,
    temperature: float,
    negatives: Tensor | None = None,
    hard: Tensor | None = None,
    hard_weight: float = 0.0,
    excluded: Tensor | None = None,
) -> Tensor:
    """Tell each anchor's positive from every other positive and from every negative.

        −log exp(cos(aᵢ, pᵢ)/τ) / (Σⱼ exp(cos(aᵢ, pⱼ)/τ) + Σₖ exp(cos(aᵢ, nₖ)/τ)), averaged over i

    SimCSE (Gao et al. 2021), equation 4; with a hard negative for each pair, equation 5. With a momentum queue as
    `negatives` it is the objective of ESimCSE (Wu et al. 2022), section 3.2. With `hard_weight` w, each anchor's own
    hard negatives count e^w times in its sum, those of other anchors once: SimCSE, section 6.3, where α is e^w. What
    `excluded` names does not stand in the sum: false negatives, as `false_negatives` finds them.

    Args:
        anchor: (batch, dim), un-normalised.
        positive: (batch, dim); row i belongs to anchor i.
        temperature: τ > 0; SimCSE takes 0.05.
        negatives: (n, dim), any n: hard negatives, a queue, or both one below the other. Each is a negative of every
            anchor.
        hard: (m,), int64, m ≤ n: negatives[k] is the own hard negative of anchor hard[k]. None: of no anchor.
        hard_weight: w, any finite number.
        excluded: (batch, batch + n) of bool, true where anchor i's sum leaves out candidate j, the positives first,
            then the negatives; the own positive, (i, i), always stays. None: nothing is left out.

    Returns:
        A scalar ≥ 0; log(batch + n) where all cosines are equal, w is 0 and nothing is left out.

    Raises:
        ValueError: shapes that do not fit, or a temperature that is not above 0.
    """
    check_alike(anchor=anchor, positive=positive)
    check_negatives(anchor, negatives)
    check_temperature(temperature)
    candidates = positive if negatives is None else torch.cat([positive, negatives])
    own = torch.arange(len(anchor), device=anchor.device)
    logits = cosine_matrix(anchor, candidates) / temperature
    if hard is not None and hard_weight:
        if hard.ndim != 1 or len(hard) > len(candidates) - len(positive):
            raise ValueError(f"hard must be (m,) with a negative for each, not {tuple(hard.shape)}")
        place = len(positive) + torch.arange(len(hard), device=hard.device)
        logits = logits.index_put((hard, place), logits.new_tensor(hard_weight), accumulate=True)
    return F.cross_entropy(without(logits, excluded), own)
