"""The precision of training on this machine."""

from components.config.training import Training
from components.hardware import native_bf16


def precision(training: Training) -> str:
    """`bf16` or `fp32`: as told, or by `auto` bf16 where the processor multiplies it natively."""
    if training.precision != "auto":
        return training.precision
    return "bf16" if native_bf16() else "fp32"
