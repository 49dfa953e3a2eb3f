"""What this machine does natively."""

import torch

from components.config.training import Training


def precision(training: Training) -> str:
    """`bf16` or `fp32`: as told, or by `auto` bf16 where the processor multiplies it natively."""
    if training.precision != "auto":
        return training.precision
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return "bf16" if native else "fp32"
