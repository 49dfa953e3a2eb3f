"""One batch over several processes: what each of them embedded, put together again as the plan has it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F


def processes() -> int:
    """How many processes train together; 1 outside of torchrun."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def whole_batch(
    embeddings: Tensor, roles: Mapping[str, Tensor], names: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The embeddings of all processes, with gradients to each one's own, and the rows of them that play each role.

    A role's rows stand in the plan's order, from which `components.training.plan.shared_out` has dealt them in turn. A
    role that rows may lack (near and far of a span mask) can have fewer in one process than in another, or none; so
    can a batch that does not divide evenly.

    Args:
        embeddings: (texts, dim), this process's.
        roles: for each role the rows of `embeddings` that play it; one process alone needs no more.
        names: every role that may occur, the same in all processes.
    """
    count = processes()
    if count == 1:
        return embeddings, dict(roles)
    own = torch.tensor([len(roles["anchor"]), len(embeddings)], device=embeddings.device)
    width, most = (int(size) for size in gathered(own).amax(dim=0))  # no role has more rows than the anchor
    table = torch.full((len(names), width), -1, device=embeddings.device)
    for line, name in enumerate(names):
        if name in roles:
            table[line, : len(roles[name])] = roles[name]
    tables = gathered(table)
    padded: Tensor = _Gathered.apply(F.pad(embeddings, (0, 0, 0, most - len(embeddings))))
    everyone = padded.flatten(0, 1)
    first = torch.arange(count, device=table.device).unsqueeze(1) * most
    found = {}
    for line, name in enumerate(names):
        places = tables[:, line]
        dealt = (places + first).T[places.T >= 0]
        if len(dealt):
            found[name] = dealt
    return everyone, found


def in_turn(rows: Tensor) -> Tensor:
    """`rows` (n, dim) of every process in the plan's order, without gradient; n may differ by process."""
    if processes() == 1:
        return rows
    counts = gathered(torch.tensor(len(rows), device=rows.device))
    width = int(counts.max())
    everyone = gathered(F.pad(rows, (0, 0, 0, width - len(rows)))).transpose(0, 1)
    return everyone[torch.arange(width, device=rows.device).unsqueeze(1) < counts]


def whole_mean(total: Tensor, count: int) -> Tensor:
    """The sum `total` (scalar) of every process over the `count` of all: the same in each of them, 0 where none counts.

    The gradient goes to this one's own sum, as many times as there are processes, which DistributedDataParallel's
    average sets right.
    """
    everyone = gathered(torch.stack([total.detach(), total.new_tensor(count)])) if processes() > 1 else None
    if everyone is None:
        return total / max(count, 1)
    whole, counted = everyone.sum(dim=0)
    own = total * processes() / counted.clamp(min=1)
    return own + (whole / counted.clamp(min=1) - own).detach()


def gathered(tensor: Tensor) -> Tensor:
    """A tensor of one shape from every process, (processes, …), without gradient."""
    every = [torch.empty_like(tensor) for _ in range(processes())]
    dist.all_gather(every, tensor.contiguous())
    return torch.stack(every)


class _Gathered(torch.autograd.Function):
    """`gathered`, whose gradient is the sum of what every process found for this one's rows.

    Each process takes the same loss of the same gathered rows, so that sum is as many times the gradient as there are
    processes; DistributedDataParallel then averages the parameters' gradients, which sets it right.
    """

    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        return gathered(rows)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[dist.get_rank()]
