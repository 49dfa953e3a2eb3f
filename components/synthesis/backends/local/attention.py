"""Attention of many rows to one shared prefix and to their own tokens, over preallocated keys and values."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface, PretrainedConfig

NAME = "shared_prefix"
MASKED = -1e30  # finite, so that a row which sees nothing of the prefix has a log-sum and no NaN
GROWTH = 32  # tokens by which the rows' room grows


class Step(Protocol):
    """What one forward pass over packed tokens does in each layer's attention."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor: ...


class Cache:
    """Keys and values of a prefix, held once, and of the rows' own tokens.

    Attributes:
        prefix: keys and values, (2, layers, key heads, prefix, dim).
        own: keys and values, (2, layers, rows, key heads, room, dim); row r has `length[r]` tokens of its own.
        seen: (rows,) how many of the prefix's tokens are also the row's: it attends to those alone.
        length: (rows,).
    """

    def __init__(self, config: PretrainedConfig, rows: int, dtype: torch.dtype, device: torch.device) -> None:
        heads = config.num_attention_heads
        self._shape = (
            config.num_hidden_layers,
            getattr(config, "num_key_value_heads", None) or heads,
            getattr(config, "head_dim", None) or config.hidden_size // heads,
        )
        layers, key_heads, dim = self._shape
        self.prefix = torch.empty(2, layers, key_heads, 0, dim, dtype=dtype, device=device)
        self.own = torch.empty(2, layers, rows, key_heads, 0, dim, dtype=dtype, device=device)
        self.seen = torch.zeros(rows, dtype=torch.long, device=device)
        self.length = torch.zeros(rows, dtype=torch.long, device=device)

    def reserve(self, tokens: int) -> None:
        """Room for at least `tokens` tokens of each row."""
        room = self.own.shape[4]
        if tokens > room:
            wider = self.own.new_empty(*self.own.shape[:4], -(-tokens // GROWTH) * GROWTH, self.own.shape[5])
            wider[..., :room, :] = self.own
            self.own = wider

    def adopt_prefix(self) -> None:
        """Make row 0's own tokens the prefix of all rows."""
        self.prefix = self.own[:, :, 0, :, : int(self.length[0])].clone()

    def drop_prefix(self) -> None:
        self.prefix = self.prefix[..., :0, :]

    def move(self, source: int, target: int) -> None:
        """Put row `source` in the place of row `target`."""
        length = int(self.length[source])
        self.own[:, :, target, :, :length] = self.own[:, :, source, :, :length]
        self.length[target] = self.length[source]
        self.seen[target] = self.seen[source]

    def attend_prefix(self, layer: int, query: Tensor, bias: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
        """`query` (tokens, key heads, group, dim) to the prefix in one product; attended, and log-sums without dim."""
        tokens, key_heads, group, dim = query.shape
        flat = query.transpose(0, 1).reshape(1, key_heads, tokens * group, dim)
        keys, values = self.prefix[:, layer].unsqueeze(1)
        attended, logsum = attend(flat, keys, values, bias, scale)
        return (
            attended.view(key_heads, tokens, group, dim).transpose(0, 1),
            logsum.view(key_heads, tokens, group).transpose(0, 1),
        )

    def prefix_bias(self, seen: Tensor, group: int) -> Tensor | None:
        """(1, 1, tokens × group, prefix): what of the prefix is hidden from each token; None: nothing."""
        prefix = self.prefix.shape[3]
        if bool((seen == prefix).all()):
            return None
        hidden = torch.arange(prefix, device=seen.device) >= seen.repeat_interleave(group)[:, None]
        return torch.zeros(hidden.shape, device=seen.device).masked_fill_(hidden, MASKED)[None, None]


class Prefill:
    """New rows' tokens, packed one row after another: `lengths[i]` tokens of row `first + i`."""

    def __init__(self, cache: Cache, first: int, lengths: Sequence[int], group: int) -> None:
        device = cache.length.device
        self._cache, self._group = cache, group
        self._rows = slice(first, first + len(lengths))
        length = torch.tensor(lengths, device=device)
        self._longest = max(lengths)
        cache.reserve(self._longest)
        cache.length[self._rows] = length
        column = torch.arange(self._longest, device=device).expand(len(lengths), -1)
        real = column < length[:, None]
        starts = length.cumsum(0) - length
        self._packed = (starts[:, None] + column).where(real, starts[:, None])  # (rows, longest) → its packed place
        self._padded = real.flatten().nonzero().squeeze(1)  # packed token → its place in the padded rows
        seen = cache.seen[self._rows].repeat_interleave(length)
        self.positions = (seen + column[real])[None]
        self.last = starts + length - 1
        self._bias = cache.prefix_bias(seen, group)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """(tokens, heads, dim), with key and value of (tokens, key heads, dim)."""
        tokens, heads, dim = query.shape
        padded = [part[self._packed].transpose(1, 2) for part in (query, key, value)]
        self._cache.own[0, layer, self._rows, :, : self._longest] = padded[1]
        self._cache.own[1, layer, self._rows, :, : self._longest] = padded[2]
        keys, values = (part.repeat_interleave(self._group, dim=1) for part in padded[1:])
        own, logsum = attend(padded[0], keys, values, None, scale, causal=True)
        own = own.transpose(1, 2).reshape(-1, heads, dim)[self._padded]
        if self._cache.prefix.shape[3] == 0:
            return own
        logsum = logsum.transpose(1, 2).reshape(-1, heads)[self._padded]
        grouped = query.reshape(tokens, heads // self._group, self._group, dim)
        prefix = self._cache.attend_prefix(layer, grouped, self._bias, scale)
        return merge((own.view_as(grouped), logsum.view(grouped.shape[:3])), prefix).reshape(tokens, heads, dim)


class Decode:
    """The next token of each of the first `rows` rows."""

    def __init__(self, cache: Cache, rows: int, group: int) -> None:
        self._cache, self._group, self._rows = cache, group, rows
        self._place = cache.length[:rows].clone()
        self._index = torch.arange(rows, device=self._place.device)
        self._longest = int(self._place.max()) + 1
        cache.reserve(self._longest)
        cache.length[:rows] += 1
        self.positions = (cache.seen[:rows] + self._place)[None]
        hidden = torch.arange(self._longest, device=self._place.device) > self._place[:, None]
        self._own_bias = torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, MASKED)[:, None, None]
        self._bias = cache.prefix_bias(cache.seen[:rows], group)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """(rows, heads, dim), with key and value of (rows, key heads, dim)."""
        rows, heads, dim = query.shape
        own = self._cache.own[:, layer, :rows]
        own[0][self._index, :, self._place] = key
        own[1][self._index, :, self._place] = value
        grouped = query.reshape(rows, heads // self._group, self._group, dim)
        keys, values = own[..., : self._longest, :]
        attended = attend(grouped, keys, values, self._own_bias, scale)
        if self._cache.prefix.shape[3]:
            return merge(attended, self._cache.attend_prefix(layer, grouped, self._bias, scale)).reshape(
                rows, heads, dim
            )
        return attended[0].reshape(rows, heads, dim)


def attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, and the log of each query's sum of exponentials, by which parts can be merged.

    Args:
        query: (batch, heads, queries, dim).
        key: (batch, heads, keys, dim), as `value`.
        bias: added to the scores, broadcast to (batch, heads, queries, keys).

    Returns:
        (batch, heads, queries, dim) and, in float32, (batch, heads, queries).
    """
    if query.device.type == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=bias, scale=scale
        )
    scores = (query @ key.transpose(-1, -2)).float() * scale
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1), MASKED)
    return scores.softmax(-1).to(value.dtype) @ value, scores.logsumexp(-1)


def merge(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """Attention over the union of two sets of keys, from that over each and its log-sum."""
    share = torch.sigmoid(one[1] - other[1]).unsqueeze(-1).to(one[0].dtype)
    return torch.lerp(other[0], one[0], share)


def _shared_prefix(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: None, scaling: float, step: Step, **_: Any
) -> tuple[Tensor, None]:
    """transformers' attention interface: all of one batch row, (1, heads, tokens, dim)."""
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    return step.attend(module.layer_idx, query, key, value, scaling).unsqueeze(0), None


AttentionInterface.register(NAME, _shared_prefix)
