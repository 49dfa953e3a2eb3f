"""Weights laid out once as the processor's matrix kernels want them, which plain linear layers do at every call."""

import logging

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


class PackedLinear(nn.Module):
    """`linear` for inference, by oneDNN on a weight in its own layout; the same products in another order of memory."""

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        self.bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)

    def forward(self, inputs: Tensor) -> Tensor:
        """(…, in) to (…, out)."""
        return torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")


def pack(model: nn.Module, rows: int) -> None:
    """Pack every linear layer of a bfloat16 model on the CPU, for about `rows` rows at a time; leave others alone.

    torch does not document what does it. Where its version can't, a warning says so and the model stays as it is.
    """
    parameter = next(model.parameters())
    if parameter.device.type != "cpu" or parameter.dtype != torch.bfloat16 or not torch.backends.mkldnn.is_available():
        return
    try:
        PackedLinear(nn.Linear(8, 8, dtype=torch.bfloat16), 1)(torch.zeros(1, 8, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError, TypeError) as error:
        log.warning("torch %s packs no weights (%s): the local LLM writes more slowly", torch.__version__, error)
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, PackedLinear(child, rows))
