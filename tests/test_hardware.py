"""Precision as told, or what the hardware does natively."""

import pytest
import torch

from components.errors import ConfigError
from components.hardware import effective_precision


def machine(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native and not cuda})


@pytest.mark.parametrize("cuda", [False, True])
@pytest.mark.parametrize(
    "told, native, expected",
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("fp32", True, "fp32"), ("bf16", False, "bf16")],
)
def test_precision(monkeypatch: pytest.MonkeyPatch, cuda: bool, told: str, native: bool, expected: str) -> None:
    machine(monkeypatch, cuda=cuda, native=native)
    assert effective_precision(told) == expected


def test_fp16_is_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=True, native=True)
    assert effective_precision("fp16") == "fp16"
    machine(monkeypatch, cuda=False, native=True)
    with pytest.raises(
        ConfigError, match=r"training.precision: fp16 needs an NVIDIA GPU, and there is none; take auto"
    ):
        effective_precision("fp16")
