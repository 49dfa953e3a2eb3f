"""What this machine does natively."""

import torch


def native_bf16() -> bool:
    """Whether the processor that would be used, GPU before CPU, multiplies bfloat16 natively."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
