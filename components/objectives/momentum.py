"""Momentum contrast: negatives from past batches, embedded by a slowly moving copy of the encoder."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn


class MomentumQueue(nn.Module):
    """A moving average of the encoder and a first-in-first-out queue of what it embedded.

        θₘ ← λ·θₘ + (1 − λ)·θ

    ESimCSE (Wu et al. 2022), section 3.2: λ = 0.995, a queue of 2.5 × batch, dropout off in the moving average. The
    queue serves as `negatives` of `info_nce`. One training step:

        negatives = momentum.negatives()                  # of previous batches only, because asked for first
        loss = info_nce(anchor, positive, temperature=0.05, negatives=negatives)
        ...                                               # backward and optimizer step
        momentum.update(encoder)
        momentum.enqueue(momentum(**anchor_inputs))

    Averaged weights, queue and its state are in `state_dict`, so a resumed training goes on with the same negatives.
    The copy takes no gradient and stays in eval mode whatever mode its parent is put in. Parameters that take none in
    the encoder either (frozen layers, the base of LoRA) are shared with it rather than copied.
    """

    queue: Tensor  # (size, dim); rows at `length` and beyond are not filled yet
    length: Tensor  # (), rows filled
    position: Tensor  # (), row that is written next: the oldest once the queue is full

    def __init__(self, encoder: nn.Module, *, dim: int, size: int, decay: float = 0.995) -> None:
        """Copy `encoder`; hold up to `size` embeddings of `dim` numbers.

        Raises:
            ValueError: dim or size below 1, or a decay outside [0, 1].
        """
        super().__init__()
        if dim < 1 or size < 1:
            raise ValueError(f"dim and size must be at least 1, not {dim} and {size}")
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must be in [0, 1], not {decay}")
        self.decay = decay
        frozen = {id(parameter): parameter for parameter in encoder.parameters() if not parameter.requires_grad}
        self.encoder = copy.deepcopy(encoder, frozen).requires_grad_(False).eval()
        example = next(encoder.parameters(), torch.empty(0))
        self.register_buffer("queue", torch.zeros(size, dim, dtype=example.dtype, device=example.device))
        self.register_buffer("length", torch.zeros((), dtype=torch.long, device=example.device))
        self.register_buffer("position", torch.zeros((), dtype=torch.long, device=example.device))

    def train(self, mode: bool = True) -> Self:
        """Set the mode of this module alone; the copy stays in eval mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged encoder gives for these inputs, without gradient or dropout."""
        return self.encoder(*args, **kwargs)

    @torch.no_grad()
    def update(self, encoder: nn.Module) -> None:
        """Move the copy's parameters by 1 − decay towards those of `encoder`; copy its buffers.

        Raises:
            ValueError: `encoder` has not the parameters and buffers that were copied at the start.
        """
        own, new = list(self.encoder.parameters()), list(encoder.parameters())
        own_buffers, new_buffers = list(self.encoder.buffers()), list(encoder.buffers())
        if _shapes(own, own_buffers) != _shapes(new, new_buffers):
            raise ValueError("encoder has other parameters or buffers than the one that was copied at the start")
        moved = [(mine.detach(), its.detach()) for mine, its in zip(own, new, strict=True) if mine is not its]
        if moved:
            torch._foreach_lerp_([mine for mine, _ in moved], [its for _, its in moved], 1 - self.decay)
        if own_buffers:
            torch._foreach_copy_(own_buffers, new_buffers)

    @torch.no_grad()
    def enqueue(self, embeddings: Tensor) -> None:
        """Put `embeddings` (n, dim) in, the oldest rows making room; of more than `size` the last `size` stay.

        Raises:
            ValueError: a shape other than (n, dim).
        """
        size, dim = self.queue.shape
        if embeddings.ndim != 2 or embeddings.shape[1] != dim:
            raise ValueError(f"embeddings must be (n, {dim}), not {tuple(embeddings.shape)}")
        newest = embeddings[-size:].to(self.queue)
        rows = (self.position + torch.arange(len(newest), device=self.queue.device)) % size
        self.queue[rows] = newest
        self.position.copy_((self.position + len(newest)) % size)
        self.length.copy_((self.length + len(newest)).clamp(max=size))

    def negatives(self) -> Tensor | None:
        """The filled rows, (filled, dim), without gradient and in no particular order; None while there are none.

        A copy, so that a later `enqueue` does not change what a backward pass still needs. Asked for before the batch
        is enqueued, it holds previous batches' anchors only.
        """
        filled = int(self.length)
        return self.queue[:filled].clone() if filled else None


def _shapes(parameters: Sequence[Tensor], buffers: Sequence[Tensor]) -> tuple[list[torch.Size], list[torch.Size]]:
    return [parameter.shape for parameter in parameters], [buffer.shape for buffer in buffers]
