"""Encoder, momentum queue and objective as one module: a batch in, the loss out."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from components.config.variants import Composition
from components.encoder.batch import TokenBatch, select_rows
from components.encoder.model import SentenceEncoder
from components.objectives import MomentumQueue, false_negatives
from components.training.collate import ANCHOR_OF_NEGATIVE, NEGATIVE, role_names
from components.training.language import Vocabulary, mask_tokens
from components.training.whole_batch import in_turn, whole_batch, whole_mean
from components.variants import compose


class ContrastiveModel(nn.Module):
    """What the trainer trains; its state dict is the whole of a checkpoint's weights, queue included.

    What of the encoder takes no gradient (LoRA's base, frozen layers) is left out of it: it is as in the base.
    """

    def __init__(
        self,
        encoder: SentenceEncoder,
        variant: Composition,
        batch_size: int,
        *,
        cached: bool = False,
        language_head: nn.Module | None = None,
        reference_dim: int = 0,
    ) -> None:
        """`batch_size` is that of all processes together; `cached` turns gradient caching on; `language_head`, from
        states (tokens, dim) to logits, serves term `mlm`; `reference_dim` is the dim of the encoder that tells false
        negatives, whose embeddings go wherever the encoder's own do: gathered and queued beside them.

        Gradient caching (Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup",
        section 3.2): each padded tensor of a batch is embedded without keeping what its backward pass needs; when the
        loss's gradient by the embeddings is known, each is embedded once more, with the same dropout masks, and
        back-propagated alone. The gradient is that of the plain pass; the activations are those of one tensor.
        """
        super().__init__()
        self.encoder = encoder
        self.momentum: MomentumQueue | None = None
        if variant.momentum is not None:
            size = round(variant.momentum.queue * batch_size)
            self.momentum = MomentumQueue(
                encoder, dim=encoder.dim + reference_dim, size=size, decay=variant.momentum.decay
            )
        self._online_head = variant.momentum is not None and variant.momentum.head == "online"
        self._mlm, self.language_head = variant.mlm, language_head
        if self._mlm is not None:
            special = torch.zeros(len(encoder.tokenizer), dtype=torch.bool)
            special[encoder.tokenizer.all_special_ids] = True
            self._vocabulary = Vocabulary(len(special), special, int(encoder.tokenizer.mask_token_id))
        kept = [
            f"{side}.{name}"
            for side in ("encoder", "momentum.encoder")
            for name, each in encoder.named_parameters(remove_duplicate=False)
            if not each.requires_grad
        ]
        self.register_state_dict_post_hook(partial(_leave_out, kept))
        self.register_load_state_dict_post_hook(partial(_need_not, kept))
        self._cached = cached
        self._false_negatives, self._dims = variant.false_negatives, [encoder.dim, reference_dim]
        self._roles = role_names(variant)
        most = max((len(part.roles.hard) for part in variant.data), default=0)
        self._hard, self._hard_anchors = (
            [role.format(k) for k in range(most)] for role in (NEGATIVE, ANCHOR_OF_NEGATIVE)
        )
        self._objective = compose(variant)

    def forward(
        self,
        tokens: TokenBatch,
        roles: dict[str, Tensor],
        undropped: TokenBatch | None = None,
        reference: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Each objective term's weighted loss, by name; their sum is the loss.

        `roles` count the rows of `tokens`, and on from there those of `undropped`, which are encoded with dropout off.
        `reference`: (texts, reference_dim), of all of them.
        Across processes it is that of the whole batch in each of them: all roles are gathered, with gradients.
        """
        embeddings = self._embedded(tokens, self.encoder)
        if undropped is not None:
            embeddings = torch.cat([embeddings, self._embedded(undropped, self._undropped)])
        if reference is not None:  # whose float32 stays, in half precision too
            embeddings = torch.cat([embeddings, reference], dim=1)
        everyone, places = whole_batch(embeddings, roles, self._roles)
        hard = [places.pop(role) for role in self._hard_anchors if role in places]
        by_role = {role: everyone[rows] for role, rows in places.items()}
        if hard:
            by_role["hard"] = (torch.cat(hard).unsqueeze(1) == places["anchor"]).int().argmax(dim=1)
        negatives = [by_role.pop(role) for role in self._hard if role in by_role]
        if self.momentum is not None:
            queued = self.momentum.negatives()
            if queued is not None:
                negatives.append(queued.to(embeddings.dtype))
            with torch.no_grad():
                anchors = self._momentum_embeddings(select_rows(tokens, roles["anchor"]))
                if reference is not None:
                    anchors = torch.cat([anchors, reference[roles["anchor"]]], dim=1)
                self.momentum.enqueue(in_turn(anchors))
        if negatives:
            by_role["negatives"] = torch.cat(negatives)
        if reference is not None:
            by_role |= self._told_apart(by_role)
        losses = self._objective(by_role)
        if self._mlm is not None:
            losses["mlm"] = self._mlm.weight * self._language_loss(tokens["ids"], self._mlm.probability)
        return losses

    def _told_apart(self, by_role: dict[str, Tensor]) -> dict[str, Tensor]:
        """The encoder's own embeddings by role, and by the reference's who is left out of whose denominator."""
        assert self._false_negatives is not None
        split = {role: both.split(self._dims, dim=1) for role, both in by_role.items() if role != "hard"}
        seen = {role: split[role][1] for role in ("anchor", "positive", "negatives") if role in split}
        excluded = false_negatives(
            seen["anchor"], seen["positive"], seen.get("negatives"), margin=self._false_negatives.margin
        )
        return {role: own for role, (own, _) in split.items()} | {"excluded": excluded}

    def _language_loss(self, tensors: list[Tensor], probability: float) -> Tensor:
        """The mean over the chosen tokens of all processes; the gradient is this one's share of it."""
        masked = [mask_tokens(ids, self._vocabulary, probability) for ids in tensors]
        wanted = [ids[chosen] for ids, (_, chosen) in zip(tensors, masked, strict=True)]
        if self._cached and torch.is_grad_enabled():
            sums = [
                checkpoint(self._told, [each], [targets], use_reentrant=False)
                for each, targets in zip(masked, wanted, strict=True)
            ]
        else:
            sums = [self._told(masked, wanted)]
        return whole_mean(torch.stack(sums).sum(), sum(len(each) for each in wanted))

    def _told(self, masked: list[tuple[Tensor, Tensor]], wanted: list[Tensor]) -> Tensor:
        """The sum over chosen tokens of −log p of the one that stood there."""
        assert self.language_head is not None
        states = self.encoder.states([ids for ids, _ in masked])
        chosen = torch.cat([last[which] for (last,), (_, which) in zip(states, masked, strict=True)])
        return F.cross_entropy(self.language_head(chosen), torch.cat(wanted), reduction="sum")

    def follow(self) -> None:
        """Let the momentum encoder take its step towards the encoder; called after each optimiser step."""
        if self.momentum is not None:
            self.momentum.update(self.encoder)

    def _momentum_embeddings(self, anchors: TokenBatch) -> Tensor:
        assert self.momentum is not None
        if not self._online_head or self.encoder.head is None:
            return cast(Tensor, self.momentum(anchors))
        averaged = cast(SentenceEncoder, self.momentum.encoder)
        return cast(Tensor, self.encoder.head(averaged.pooled(anchors)))

    def _undropped(self, tokens: TokenBatch) -> Tensor:
        """The encoder with dropout off: set here, since gradient caching calls it again when all else is over."""
        mode = self.encoder.training
        self.encoder.eval()
        try:
            return cast(Tensor, self.encoder(tokens))
        finally:
            self.encoder.train(mode)

    def _embedded(self, tokens: TokenBatch, encode: Callable[[TokenBatch], Tensor]) -> Tensor:
        if not (self._cached and torch.is_grad_enabled()):
            return encode(tokens)
        pieces: list[TokenBatch] = [
            {"ids": [ids], "place": torch.arange(len(ids), device=ids.device)} for ids in tokens["ids"]
        ]
        # Without reentrance each parameter's gradient is complete once, when DistributedDataParallel waits for it.
        embedded = [checkpoint(encode, piece, use_reentrant=False) for piece in pieces]
        return torch.cat(embedded)[tokens["place"]]


def _leave_out(names: Collection[str], module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name in names:
        state.pop(prefix + name, None)


def _need_not(names: Collection[str], module: nn.Module, incompatible: Any) -> None:
    missing: list[str] = incompatible.missing_keys
    missing[:] = set(missing).difference(names)
