"""Weights laid out once as the processor's matrix kernels want them, which plain linear layers do at every call."""

import torch
from torch import Tensor, nn


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
    """Pack every linear layer of a bfloat16 model on the CPU, for about `rows` rows at a time; leave others alone."""
    parameter = next(model.parameters())
    wanted = parameter.device.type == "cpu" and parameter.dtype == torch.bfloat16
    if not wanted or not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, PackedLinear(child, rows))
