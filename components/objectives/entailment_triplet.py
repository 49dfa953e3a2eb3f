"""The entailment triplet of ArcCSE: the more is masked, the further from the sentence."""

from torch import Tensor
from torch.nn import functional as F

from components.objectives.cosine import check_alike, cosine


def entailment_triplet(anchor: Tensor, near: Tensor, far: Tensor, *, margin: float = 0.0) -> Tensor:
    """Keep the lightly masked view nearer to its sentence than the heavily masked one.

        max(0, d(aᵢ, nearᵢ) − d(aᵢ, farᵢ) + m), averaged over i, with d = 1 − cos

    ArcCSE (Zhang et al. 2022), section 3.3: the span masked in `far` contains the one masked in `near`,
    so `far` says less.

    Args:
        anchor: (batch, dim), un-normalised, the whole sentences.
        near: (batch, dim), their lightly masked views.
        far: (batch, dim), their heavily masked views.
        margin: m in units of cosine; the paper takes 0.

    Returns:
        A scalar in [0, 2 + m] for m ≥ 0.

    Raises:
        ValueError: shapes that do not fit.
    """
    check_alike(anchor=anchor, near=near, far=far)
    return F.relu(cosine(anchor, far) - cosine(anchor, near) + margin).mean()
