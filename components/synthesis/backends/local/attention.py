"""Attention of many rows to prefixes that they share and to their own tokens, over preallocated keys and values."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface, PretrainedConfig

NAME = "shared_prefix"
HIDDEN = -1e30  # added to a score; finite, for a row may see nothing of the prefixes
GROWTH = 32  # tokens by which the rows' room grows


class Prefix(NamedTuple):
    """The beginning of many prompts; of each layer, keys (key heads, dim, tokens), values (key heads, tokens, dim)."""

    tokens: list[int]
    keys: list[Tensor]
    values: list[Tensor]


class Cache:
    """Keys and values of prefixes, held once, and of the rows' own tokens.

    A matrix product for all rows takes the prefixes' keys and values as they lie, end to end: none is copied per row.

    Attributes:
        heads: key heads.
        group: query heads of each.
        prefix: the prefixes, end to end.
        keys: (layers, rows, key heads, dim, room); `values`: (layers, rows, key heads, room, dim).
        begin: (rows,) where the row's prefix begins.
        seen: (rows,) how many of its tokens are also the row's: it attends to those alone.
        length: (rows,) tokens of the row's own.
        prompts: of each row, that whose tokens are in the cache, also after the row has ended.
    """

    def __init__(self, config: PretrainedConfig, rows: int, dtype: torch.dtype, device: torch.device) -> None:
        queries = config.num_attention_heads
        self.heads: int = getattr(config, "num_key_value_heads", None) or queries
        self.group = queries // self.heads
        dim = getattr(config, "head_dim", None) or config.hidden_size // queries
        shape = (config.num_hidden_layers, rows, self.heads)
        self.keys = torch.empty(*shape, dim, 0, dtype=dtype, device=device)
        self.values = torch.empty(*shape, 0, dim, dtype=dtype, device=device)
        self.begin = torch.zeros(rows, dtype=torch.long, device=device)
        self.seen = torch.zeros(rows, dtype=torch.long, device=device)
        self.length = torch.zeros(rows, dtype=torch.long, device=device)
        self.prompts: list[list[int]] = [[] for _ in range(rows)]
        self.prefix = self.as_prefix([])

    def reserve(self, tokens: int) -> None:
        """Room for at least `tokens` tokens of each row."""
        more = -(-tokens // GROWTH) * GROWTH - self.keys.shape[-1]
        if more > 0:
            self.keys = torch.nn.functional.pad(self.keys, (0, more))
            self.values = torch.nn.functional.pad(self.values, (0, 0, 0, more))

    def as_prefix(self, tokens: list[int]) -> Prefix:
        """Row 0's first own tokens, which are `tokens`."""
        count = len(tokens)
        keys = [keys[0, ..., :count].contiguous() for keys in self.keys]
        return Prefix(tokens, keys, [values[0, :, :count].contiguous() for values in self.values])

    def add(self, prefix: Prefix) -> int:
        """Lay a prefix behind those that are there; where it begins."""
        tokens, keys, values = self.prefix
        self.prefix = Prefix(
            tokens + prefix.tokens,
            [torch.cat(pair, -1) for pair in zip(keys, prefix.keys, strict=True)],
            [torch.cat(pair, -2) for pair in zip(values, prefix.values, strict=True)],
        )
        return len(tokens)

    def swap(self, one: int, other: int) -> None:
        """Let two rows change places."""
        pair, back = [one, other], [other, one]
        length = int(self.length[pair].max())
        self.keys[:, pair, ..., :length] = self.keys[:, back, ..., :length]
        self.values[:, pair, :, :length] = self.values[:, back, :, :length]
        for of_row in (self.length, self.begin, self.seen):
            of_row[pair] = of_row[back]
        self.prompts[one], self.prompts[other] = self.prompts[other], self.prompts[one]


class Step:
    """The next tokens of some rows, packed one row after another: one forward pass over a batch of a single sequence.

    Args:
        cache: whose rows from `first` on are meant; their keys and values are written to it by the pass.
        lengths: how many tokens each of them goes on by.

    Attributes:
        positions: (1, tokens).
        last: (rows,) the place of each row's last token among all.
    """

    def __init__(self, cache: Cache, first: int, lengths: Sequence[int]) -> None:
        device = cache.length.device
        self._cache = cache
        self._rows = slice(first, first + len(lengths))
        new = torch.tensor(lengths, device=device)
        begin = cache.length[self._rows].clone()
        cache.length[self._rows] += new
        self._length = int(cache.length[self._rows].max())
        cache.reserve(self._length)
        column = torch.arange(max(lengths), device=device)
        real = column < new[:, None]
        place = begin[:, None] + column  # (rows, queries), of each query among the row's own tokens
        self._queries = real.shape
        # Places of those there are, among all that the padded batch has room for; None where it has no padding.
        self._real = None if bool(real.all()) else real.flatten().nonzero().squeeze(1)
        self.positions = (cache.seen[self._rows, None] + place)[real][None]
        self.last = new.cumsum(0) - 1
        row = torch.arange(first, self._rows.stop, device=device)[:, None].expand_as(place)
        self._target = row[real], place[real]
        hidden = torch.arange(self._length, device=device) > place.repeat_interleave(cache.group, 1)[..., None]
        dtype = cache.keys.dtype
        self._bias = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, HIDDEN)[:, None]
        self._prefix_bias = None
        start = cache.begin[self._rows, None, None]
        end = start + cache.seen[self._rows, None, None]
        self._shared = slice(int(start.min()), int(end.max()))  # of the prefixes: what these rows attend to
        column = torch.arange(self._shared.start, self._shared.stop, device=device)
        hidden = (column < start) | (column >= end)
        if bool(hidden.any()):
            self._prefix_bias = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, HIDDEN)
            self._prefix_bias = self._prefix_bias[:, None]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """(tokens, heads, dim), with `query` of the same shape, `key` and `value` of (tokens, key heads, dim)."""
        cache, rows = self._cache, self._rows
        keys, values = cache.keys[layer], cache.values[layer]
        row, place = self._target
        keys[row, :, :, place] = key
        values[row, :, place] = value
        keys, values = keys[rows, ..., : self._length], values[rows, :, : self._length]

        count, heads, dim = keys.shape[:3]
        if self._real is None:
            padded = query
        else:
            padded = query.new_zeros(self._queries.numel(), *query.shape[1:]).index_copy_(0, self._real, query)
        grouped = (padded * scale).view(count, -1, heads, cache.group, dim).transpose(1, 2)
        queries = grouped.reshape(count, heads, -1, dim)  # of row, key head, query and group
        scores = torch.matmul(queries, keys).add_(self._bias)
        prefix = self._shared.stop - self._shared.start
        if prefix:  # whose keys have no rows: all rows' queries are multiplied with them at once
            prefix_keys = cache.prefix.keys[layer][..., self._shared]
            shared = torch.matmul(queries.transpose(0, 1).reshape(heads, -1, dim), prefix_keys)
            shared = shared.view(heads, count, -1, prefix).transpose(0, 1)
            if self._prefix_bias is not None:
                shared = shared + self._prefix_bias
            scores = torch.cat([shared, scores], -1)
        weights = scores.softmax(-1)
        attended = torch.matmul(weights[..., prefix:], values)
        if prefix:
            shared = weights[..., :prefix].transpose(0, 1).reshape(heads, -1, prefix)
            prefix_values = cache.prefix.values[layer][:, self._shared]
            attended += torch.matmul(shared, prefix_values).view(heads, count, -1, dim).transpose(0, 1)
        attended = attended.view(count, heads, -1, cache.group, dim).transpose(1, 2).reshape(padded.shape)
        return attended if self._real is None else attended.index_select(0, self._real)


def _shared_prefix(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: None, scaling: float, step: Step, **_: Any
) -> tuple[Tensor, None]:
    """transformers' attention interface: all of one batch row, (1, heads, tokens, dim)."""
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    attended = step.attend(module.layer_idx, query, key, value, scaling)
    return attended.view(query.shape).unsqueeze(0), None


AttentionInterface.register(NAME, _shared_prefix)
