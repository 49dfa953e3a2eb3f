"""What this machine does natively."""

from typing import Literal

import torch

from components.config.training import Precision
from components.errors import ConfigError


def native_bf16() -> bool:
    """Whether the processor that would be used, GPU before CPU, multiplies bfloat16 natively."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def effective_precision(asked: Literal["auto", "fp32", "bf16", "fp16"]) -> Precision:
    """`asked`, or for `auto` bf16 where the processor multiplies it natively, else fp32.

    Raises:
        ConfigError: fp16 without a GPU.
    """
    if asked == "fp16" and not torch.cuda.is_available():
        raise ConfigError("training.precision: fp16 needs an NVIDIA GPU, and there is none; take auto")
    if asked != "auto":
        return asked
    return "bf16" if native_bf16() else "fp32"
