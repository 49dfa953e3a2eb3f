"""From token states to one embedding per sentence."""

import torch


def pool(
    states: tuple[torch.Tensor, ...], ids: torch.Tensor, attended: torch.Tensor, how: str, mask_id: int | None
) -> torch.Tensor:
    """Pool one padded tensor of sequences.

    Args:
        states: hidden states (rows, tokens, dim) of the embedding layer and of every transformer layer; only the last
            is needed but for `first_last_mean`.
        ids: token ids (rows, tokens).
        attended: (rows, tokens), true where the token takes part.
        how: `cls`: the first token; `mean`: over attended tokens; `first_last_mean`: likewise, over the average of
            the first and the last transformer layer; `last`: the last attended token; `prompt_mask`: the last `[MASK]`,
            which is the template's, since a view may mask words of the sentence before it.
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
    if how == "first_last_mean":
        last = (states[1] + last) / 2
    shares = attended.to(last.dtype).unsqueeze(-1)
    return (last * shares).sum(dim=1) / shares.sum(dim=1).clamp(min=1e-9)
