"""What the machine can do at best: the measured rates of a plain matrix product and of a plain copy."""

import time
from collections.abc import Callable

import numpy as np
import torch


def matmul_rate(dtype: torch.dtype = torch.float32, size: int = 1536, device: str = "cpu") -> float:
    """Floating-point operations a second of a square matrix product; on a CPU by as many threads as torch has."""
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    def multiply() -> None:
        one @ other
        if device != "cpu":
            torch.cuda.synchronize()

    multiply()
    return 2 * size**3 / _best(multiply)


def copy_rate(size: int = 1 << 28) -> float:
    """Bytes a second that numpy reads and writes when one thread copies an array that no cache holds."""
    source = np.ones(size, np.uint8)
    target = np.empty_like(source)
    return 2 * size / _best(lambda: np.copyto(target, source))


def _best(work: Callable[[], object], repeats: int = 7) -> float:
    """Seconds of the quickest of `repeats` calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
