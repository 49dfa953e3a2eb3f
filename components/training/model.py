"""Encoder, momentum queue and objective as one module: a batch in, the loss out."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from components.config.variants import Variant
from components.encoder.batch import TokenBatch, select_rows
from components.encoder.model import SentenceEncoder
from components.objectives import MomentumQueue
from components.variants import compose

GATHERED = ("anchor", "positive", "negative")


class ContrastiveModel(nn.Module):
    """What the trainer trains; its state dict is the whole of a checkpoint's weights, queue included."""

    def __init__(self, encoder: SentenceEncoder, variant: Variant, batch_size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.momentum: MomentumQueue | None = None
        if variant.momentum is not None:
            size = round(variant.momentum.queue * batch_size)
            self.momentum = MomentumQueue(encoder, dim=encoder.dim, size=size, decay=variant.momentum.decay)
        self._objective = compose(variant)

    def forward(self, tokens: TokenBatch, roles: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each objective term's weighted loss, by name; their sum is the loss.

        Across processes the contrastive roles are gathered with gradients, so that every process sees every negative.
        """
        embeddings = self.encoder(tokens)
        by_role = {role: embeddings[places] for role, places in roles.items()}
        by_role |= {role: gathered(by_role[role]) for role in GATHERED if role in by_role}
        negatives = [by_role.pop("negative")] if "negative" in by_role else []
        if self.momentum is not None:
            queued = self.momentum.negatives()
            if queued is not None:
                negatives.append(queued.to(embeddings.dtype))
            with torch.no_grad():
                self.momentum.enqueue(gathered(self.momentum(select_rows(tokens, roles["anchor"]))))
        if negatives:
            by_role["negatives"] = torch.cat(negatives)
        return self._objective(by_role)

    def follow(self) -> None:
        """Let the momentum encoder take its step towards the encoder; called after each optimiser step."""
        if self.momentum is not None:
            self.momentum.update(self.encoder)


def gathered(rows: Tensor) -> Tensor:
    """`rows` (n, dim) of every process, one after the other, (processes · n, dim), with gradients to each."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows.contiguous()))
