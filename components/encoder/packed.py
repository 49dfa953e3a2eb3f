"""On a CPU: the transformer over the real tokens of a batch alone, laid end to end; padding costs nothing.

Linear layers and norms take every token by itself. Only attention must know where a sequence ends: it is given the
sequences in the order of their lengths, and takes those of one length at once, which need neither padding nor mask.
What comes out is what the padded batch gives (Zhai et al. 2023, "ByteTransformer", section III.D, does so on GPUs).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from components.encoder.batch import HIDDEN
from components.encoder.dropout import kept
from components.encoder.pretrained import first_position

ATTENTION = "cseflow_packed"  # our attention, among those of transformers
ENCODER_STATES = "encoder_last_hidden_state"  # what an encoder-decoder calls them among its outputs
PACKABLE = {"bert"}  # kinds whose positions are told by number, and whose attention can be exchanged


class Group(NamedTuple):
    """Sequences of one length that lie end to end."""

    rows: int
    length: int


def packs(transformer: PreTrainedModel) -> bool:
    """Whether `packed_states` serves: a kind that it knows, on a CPU; a GPU is faster with padding."""
    config = transformer.config
    return transformer.device.type == "cpu" and config.model_type in PACKABLE and not config.is_decoder


def padded_states(
    transformer: PreTrainedModel, tensors: Sequence[Tensor], *, every_layer: bool
) -> list[tuple[Tensor, ...]]:
    """As `packed_states`, of any transformer on any device: the padded tensors as they are, one after the other."""
    pad_id = getattr(transformer.config, "pad_token_id", None) or 0  # any id: no attention is paid to it
    first = first_position(transformer)
    states = []
    for ids in tensors:
        attended = ids != HIDDEN
        places = {}
        if first is not None:
            places["position_ids"] = torch.arange(first, first + ids.shape[1], device=ids.device).expand_as(ids)
        outputs: Any = transformer(
            input_ids=ids.where(attended, pad_id),
            attention_mask=attended.long(),
            output_hidden_states=every_layer,
            **places,
        )
        if every_layer:
            states.append(outputs.hidden_states)
        else:  # of a BART the encoder's
            states.append((getattr(outputs, ENCODER_STATES, outputs.last_hidden_state),))
    return states


def packed_states(
    transformer: PreTrainedModel, tensors: Sequence[Tensor], *, every_layer: bool
) -> list[tuple[Tensor, ...]]:
    """Hidden states of each of `tensors`, padded sequences (rows, tokens): as many (rows, tokens, dim), 0 at padding.

    Args:
        tensors: token ids; `HIDDEN` ones take no part, at the end of a sequence or in its midst.
        every_layer: the states of the embedding layer and of every transformer layer; else the last ones alone.
    """
    attended = [ids != HIDDEN for ids in tensors]
    lengths = torch.cat([here.sum(dim=1) for here in attended])
    order = torch.argsort(lengths, descending=True, stable=True)
    inverse = torch.argsort(order)
    by_length = lengths[order]
    # Where each token of the sequences in the order of their lengths stands among the tokens as given, and back.
    there = _moved(lengths, order)
    back = _moved(by_length, inverse)
    ids = torch.cat([ids[here] for ids, here in zip(tensors, attended, strict=True)])[there]
    positions = torch.cat([here.nonzero()[:, 1] for here in attended])[there]
    found, rows = torch.unique_consecutive(by_length, return_counts=True)
    groups = [Group(*each) for each in zip(rows.tolist(), found.tolist(), strict=True)]

    config: Any = transformer.config
    usual = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        outputs: Any = transformer(
            input_ids=ids[None], position_ids=positions[None], output_hidden_states=every_layer, groups=groups
        )
    finally:
        config._attn_implementation = usual
    states = [layer[0][back] for layer in outputs.hidden_states or (outputs.last_hidden_state,)]
    sizes = [int(here.sum()) for here in attended]
    parts = zip(*(layer.split(sizes) for layer in states), strict=True)
    return [tuple(_padded(part, here) for part in layers) for layers, here in zip(parts, attended, strict=True)]


@contextmanager
def packing(transformer: PreTrainedModel) -> Iterator[None]:
    """Within, whoever calls the transformer with padded tensors has them packed, where `packs` says that it serves."""
    if not packs(transformer):
        yield
        return
    plain = transformer.forward

    def forward(input_ids: Tensor, attention_mask: Tensor | None = None, **others: Any) -> Any:
        if attention_mask is None:  # the packed call itself
            return plain(input_ids=input_ids, **others)
        ids = input_ids.masked_fill(attention_mask == 0, HIDDEN)
        (states,) = packed_states(transformer, [ids], every_layer=bool(transformer.config.output_hidden_states))
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=states)

    transformer.forward = forward
    try:
        yield
    finally:
        del transformer.forward


def _moved(lengths: Tensor, order: Tensor) -> Tensor:
    """Sequences of `lengths` (n,) lie end to end: where each token stands once the sequences come in `order` (n,)."""
    starts = lengths.cumsum(0) - lengths
    chosen = lengths[order]
    shift = starts[order] - (chosen.cumsum(0) - chosen)
    return shift.repeat_interleave(chosen) + torch.arange(int(lengths.sum()))


def _padded(tokens: Tensor, attended: Tensor) -> Tensor:
    padded = tokens.new_zeros(*attended.shape, tokens.shape[-1])
    padded[attended] = tokens
    return padded


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    groups: Sequence[Group],
    scaling: float,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention within each sequence.

    Args:
        query, key, value: (1, heads, tokens, head's dim).
        groups: what the tokens are.
        dropout: share of the attention probabilities that is dropped, 0 in evaluation mode.

    Returns:
        (1, tokens, heads, head's dim), and no probabilities.
    """
    heads, dim = query.shape[1], query.shape[3]
    sizes = [rows * length for rows, length in groups]
    masks: Sequence[Tensor | None] = [None] * len(groups)
    if dropout:
        squares = [rows * heads * length * length for rows, length in groups]
        masks = kept(sum(squares), dropout, query.dtype).split(squares)
    split = ((side[0].transpose(0, 1).split(sizes)) for side in (query * scaling, key, value))
    attended = []
    for group, mask, *sides in zip(groups, masks, *split, strict=True):
        rows, length = group
        q, k, v = (s.reshape(rows, length, heads, dim).transpose(1, 2).reshape(-1, length, dim) for s in sides)
        probabilities = torch.bmm(q, k.transpose(1, 2)).softmax(dim=-1)
        if mask is not None:
            probabilities = probabilities * mask.view_as(probabilities)
        out = torch.bmm(probabilities, v).view(rows, heads, length, dim)
        attended.append(out.transpose(1, 2).reshape(rows * length, heads, dim))
    return torch.cat(attended)[None], None


AttentionInterface.register(ATTENTION, _attention)
