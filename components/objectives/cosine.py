"""Cosines with finite gradients, and the checks that every objective shares."""

import torch
from torch import Tensor

SMALLEST_NORM = 1e-12  # an embedding shorter than this has no direction


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of each row of `x` with the same row of `y`: (batch, dim), (batch, dim) → (batch,)."""
    return (_unit(x) * _unit(y)).sum(dim=-1)


def cosine_matrix(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of each row of `x` with each row of `y`: (n, dim), (m, dim) → (n, m)."""
    # Autocast would take the product in half precision, and 1/τ = 20 would magnify its rounding.
    with torch.autocast(x.device.type, enabled=False):
        return _unit(x) @ _unit(y).T


def check_alike(**embeddings: Tensor) -> None:
    """Raise ValueError unless all are `(batch, dim)` of one shape with at least one row."""
    (first, reference), *others = embeddings.items()
    if reference.ndim != 2 or len(reference) == 0:
        raise ValueError(f"{first} must be (batch, dim) with at least one row, not {tuple(reference.shape)}")
    for name, tensor in others:
        if tensor.shape != reference.shape:
            raise ValueError(f"{name} {tuple(tensor.shape)} must have the shape of {first} {tuple(reference.shape)}")


def check_negatives(anchor: Tensor, negatives: Tensor | None) -> None:
    """Raise ValueError unless `negatives` is None or `(n, dim)` with the anchors' dim."""
    if negatives is not None and (negatives.ndim != 2 or negatives.shape[1] != anchor.shape[1]):
        raise ValueError(f"negatives must be (n, {anchor.shape[1]}), not {tuple(negatives.shape)}")


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is above 0."""
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")


def without(logits: Tensor, excluded: Tensor | None) -> Tensor:
    """Logits (batch, candidates) with −∞ where `excluded` is true, but for each row's own candidate, (i, i).

    Raises:
        ValueError: `excluded` is not of the logits' shape, or not of bool.
    """
    if excluded is None:
        return logits
    if excluded.shape != logits.shape or excluded.dtype != torch.bool:
        raise ValueError(
            f"excluded must be {tuple(logits.shape)} of bool, not {tuple(excluded.shape)} of {excluded.dtype}"
        )
    own = torch.eye(*logits.shape, dtype=torch.bool, device=logits.device)
    return logits.masked_fill(excluded & ~own, -torch.inf)


def _unit(x: Tensor) -> Tensor:
    x = x if x.dtype in (torch.float32, torch.float64) else x.float()
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    # A zero vector stays zero: its cosines are 0, and its gradient is not blown up by 1/eps as in F.normalize.
    return x / norm.where(norm > SMALLEST_NORM, 1.0)
