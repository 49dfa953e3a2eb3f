"""From token states to one embedding per sentence."""

import torch

# Poolings over the average of two of the states, by their places among all: 0 is the embedding layer's.
EVERY_LAYER = {"first_last_mean": (1, -1), "last_two_mean": (-2, -1)}


def pool(
    states: tuple[torch.Tensor, ...], ids: torch.Tensor, attended: torch.Tensor, how: str, mask_id: int | None
) -> torch.Tensor:
    """Pool one padded tensor of sequences.

    Args:
        states: hidden states (rows, tokens, dim) of the embedding layer and of every transformer layer; only the last
            is needed but for `EVERY_LAYER`.
        ids: token ids (rows, tokens).
        attended: (rows, tokens), true where the token takes part.
        how: `cls`: the first token; `mean`: over attended tokens; `first_last_mean`: likewise, over the average of
            the first and the last transformer layer; `last_two_mean`: of the last two; `last`: the last attended
            token; `prompt_mask`: the last `[MASK]`, which is the template's, since a view may mask words of the
            sentence before it.
        mask_id: the tokenizer's mask token, for `prompt_mask`.

    Returns:
        (rows, dim)
    """
    last = states[-1]
    if how == "cls":
        return last[:, 0]
    if how == "prompt_mask":
        attended = attended & (ids == mask_id)
    if how in {"last", "prompt_mask"}:
        final = attended.shape[1] - 1 - attended.flip(1).int().argmax(dim=1)
        return last[torch.arange(len(last), device=last.device), final]
    if how in EVERY_LAYER:
        first, second = (states[layer] for layer in EVERY_LAYER[how])
        last = (first + second) / 2
    shares = attended.to(last.dtype).unsqueeze(-1)
    return (last * shares).sum(dim=1) / shares.sum(dim=1).clamp(min=1e-9)
