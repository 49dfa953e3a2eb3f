"""The next token of many rows at once."""

import torch
from torch import Tensor

ROWS = 32  # drawn for at a time: more do not fit the processor's caches
BLOCK = 64  # neighbours in the vocabulary of which only the largest logit is looked at first
CANDIDATES = (64, 2048)  # likeliest tokens, among which the draw nearly always falls


def draw(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """One token per row by nucleus sampling (Holtzman et al. 2020): among the likeliest with a mass of `top_p`.

    The smallest set of likeliest tokens whose probabilities sum to at least `top_p`, drawn from in proportion by the
    inverse of the cumulative distribution. Exact, though no more of a row is sorted than its draw needs.

    Args:
        logits: (rows, vocabulary).
        uniforms: (rows,) in [0, 1), one draw each.
        temperature: divides the logits; 0 takes the likeliest.

    Returns:
        (rows,) token ids.
    """
    if temperature == 0:
        return logits.argmax(-1)
    parts = zip(logits.split(ROWS), uniforms.split(ROWS), strict=True)
    return torch.cat([_draw(some, of_them, temperature, top_p) for some, of_them in parts])


def _draw(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    logits = logits.to(torch.float32, copy=True).div_(temperature).log_softmax(-1)
    drawn = torch.empty_like(uniforms, dtype=torch.long)
    rest = torch.arange(len(logits), device=logits.device)
    for count in (*CANDIDATES, logits.shape[1]):
        values, tokens = _likeliest(logits[rest], count)
        chosen, settled = _invert(values.exp(), uniforms[rest], top_p)
        settled |= count >= logits.shape[1]
        drawn[rest[settled]] = tokens.gather(1, chosen[:, None]).squeeze(1)[settled]
        rest = rest[~settled]
        if not len(rest):
            break
    return drawn


def _likeliest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest logits of each row, descending, and their tokens.

    They lie in the `count` blocks with the largest maxima, so only those are searched.
    """
    rows, vocabulary = logits.shape
    blocks = vocabulary // BLOCK
    if vocabulary % BLOCK or blocks <= count:
        return logits.topk(min(count, vocabulary))
    blocked = logits.view(rows, blocks, BLOCK)
    best = blocked.amax(-1).topk(count, sorted=False).indices
    searched = blocked.gather(1, best.unsqueeze(-1).expand(-1, -1, BLOCK)).view(rows, count * BLOCK)
    values, places = searched.topk(count)
    return values, best.gather(1, places // BLOCK) * BLOCK + places % BLOCK


def _invert(probabilities: Tensor, uniforms: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The place drawn among descending `probabilities`, and whether they suffice to know it."""
    cumulative = probabilities.cumsum(-1)
    nucleus = (cumulative < top_p).sum(-1, keepdim=True)  # the place that completes it
    complete = (nucleus < cumulative.shape[1]).squeeze(1)
    last = nucleus.clamp(max=cumulative.shape[1] - 1)
    target = uniforms[:, None] * cumulative.gather(1, last)
    return torch.minimum((cumulative <= target).sum(-1, keepdim=True), last).squeeze(1), complete
