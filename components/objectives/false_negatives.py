"""Which in-batch negatives are false: a frozen reference encoder finds them more similar than the positive."""

import torch
from torch import Tensor

from components.objectives.cosine import check_alike, check_negatives, cosine_matrix


@torch.no_grad()
def false_negatives(
    anchor: Tensor, positive: Tensor, negatives: Tensor | None = None, *, margin: float = 0.0
) -> Tensor:
    """The candidates that each anchor's denominator is to leave out, by embeddings of a reference encoder.

        excludedᵢⱼ = cos(aᵢ, cⱼ) > cos(aᵢ, pᵢ) − m,  for every candidate cⱼ but pᵢ itself

    The candidates c are all positives, then all negatives. GISTEmbed (Solatorio 2024), "Guided In-sample Selection of
    Training Negatives", where m is 0 and the reference is called guide; with m it is the absolute margin of
    sentence-transformers' GISTEmbedLoss. Of GISTEmbed's comparisons those of an anchor with candidates are taken, which
    are the ones in InfoNCE's denominator. MultiCSR (Wang et al. 2024) filters the same way in its last stage, in-batch
    training: there too a pretrained sentence encoder masks in-batch negatives that are none.

    Args:
        anchor: (batch, dim) of the reference, un-normalised; its dim need not be that of the encoder in training.
        positive: (batch, dim); row i belongs to anchor i.
        negatives: (n, dim), any n, in the order in which the objective is given them.
        margin: m in units of cosine; above 0 more is left out, below 0 less.

    Returns:
        (batch, batch + n) of bool, never true at (i, i): `excluded` of `info_nce` and `arccon`. It has no gradient.

    Raises:
        ValueError: shapes that do not fit.
    """
    check_alike(anchor=anchor, positive=positive)
    check_negatives(anchor, negatives)
    similar = cosine_matrix(anchor, positive if negatives is None else torch.cat([positive, negatives]))
    own = similar.diagonal().unsqueeze(1)
    return (similar > own - margin).diagonal_scatter(torch.zeros(len(anchor), dtype=torch.bool, device=anchor.device))
