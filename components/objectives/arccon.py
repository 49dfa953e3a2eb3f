"""ArcCon, the additive angular margin of ArcCSE."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from components.objectives.cosine import check_alike, check_negatives, check_temperature, cosine_matrix, without


def arccon(
    anchor: Tensor,
    positive: Tensor,
    *,
    temperature: float,
    margin_degrees: float = 10.0,
    negatives: Tensor | None = None,
    excluded: Tensor | None = None,
) -> Tensor:
    """InfoNCE whose positives must win by an angle m: θᵢᵢ + m has to beat every θᵢⱼ.

        −log exp(cos(θᵢᵢ + m)/τ) / (exp(cos(θᵢᵢ + m)/τ) + Σ_{j≠i} exp(cos θᵢⱼ/τ)), averaged over i

    θᵢⱼ is the angle between anchor i and positive j. ArcCSE (Zhang et al. 2022), section 3.2, where m is 10 degrees.

    Where θ + m passes π the cosine would rise again and reward the worst pairs. There cos(θ + m) is replaced by
    cos θ − (1 − cos m), which meets it at −1: continuous, never rising in θ, and still pulling such a pair together.
    (ArcFace's own continuation, cos θ − m·sin m, jumps at that point.)

    Where θ is 0 or π the derivative of the angle does not exist; the part of the gradient that goes through sin θ is 0
    there, so values and gradients are finite for all inputs.

    Args:
        anchor: (batch, dim), un-normalised.
        positive: (batch, dim); row i belongs to anchor i.
        temperature: τ > 0.
        margin_degrees: m in degrees, in [0, 180); 0 gives InfoNCE.
        negatives: (n, dim), any n, without margin in every anchor's denominator (the paper has none).
        excluded: (batch, batch + n) of bool, as in `info_nce`: candidates that anchor i's denominator leaves out.

    Returns:
        A scalar ≥ 0.

    Raises:
        ValueError: shapes that do not fit, or a temperature or margin out of its range.
    """
    check_alike(anchor=anchor, positive=positive)
    check_negatives(anchor, negatives)
    check_temperature(temperature)
    if not 0 <= margin_degrees < 180:
        raise ValueError(f"margin_degrees must be in [0, 180), not {margin_degrees}")
    candidates = positive if negatives is None else torch.cat([positive, negatives])
    cosines = cosine_matrix(anchor, candidates)
    own = torch.arange(len(anchor), device=anchor.device)
    cosines = cosines.diagonal_scatter(_cosine_past_margin(cosines.diagonal(), math.radians(margin_degrees)))
    return F.cross_entropy(without(cosines / temperature, excluded), own)


def _cosine_past_margin(cosine: Tensor, margin: float) -> Tensor:
    """cos(θ + m) from cos θ for θ + m ≤ π, and its falling continuation beyond; `margin` in radians."""
    # (1 − c)(1 + c) keeps the digits that 1 − c² loses near |c| = 1. Rounding may carry it below 0, and the slope of
    # the root has no bound at 0: from rounding's size down, sin θ is 0 with slope 0.
    squared = (1 - cosine) * (1 + cosine)
    smallest = torch.finfo(cosine.dtype).eps
    sine = squared.clamp(min=smallest).sqrt().where(squared > smallest, 0.0)
    shifted = cosine * math.cos(margin) - sine * math.sin(margin)
    return shifted.where(cosine > -math.cos(margin), cosine - (1 - math.cos(margin)))
