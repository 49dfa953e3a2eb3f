"""A training with LoRA: what it changes, and what its checkpoints hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from components import paths
from components.config import Params, load_params, variant_settings
from components.training.run import train

pytestmark = pytest.mark.slow

FOUR_STEPS = {"batch_size": 8, "sentences": 32, "epochs": 1, "evaluation_steps": 2, "precision": "fp32"}


class Killed(Exception):
    """Ends a training from within."""


def run(folder: Path, *, variant: str = "simcse", killed_at: int | None = None, **encoder: Any) -> None:
    """A training of four steps in `folder`, perhaps killed in one of them."""

    def record(values: dict[str, float], step: int) -> None:
        if step == killed_at:
            raise Killed

    raw = load_params().model_dump()
    raw["encoder"] |= encoder
    params = Params.model_validate(raw)
    settings = variant_settings(params, variant, FOUR_STEPS | {"learning_rate": 1e-2})
    try:
        train(params, settings, 0, folder, record)
    except Killed:
        assert killed_at is not None


def test_only_the_targets_change(miniature: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", lora={"rank": 4, "alpha": 16, "targets": ["query", "value"]})
    base = load_file(paths.SOURCES / "encoder/model.safetensors")
    after = load_file(tmp_path / "run/encoder/model.safetensors")
    changed = {name for name in base if not np.array_equal(base[name], after[name])}
    layers = {f"encoder.layer.{number}.attention.self" for number in (0, 1)}
    assert changed == {f"{layer}.{name}.weight" for layer in layers for name in ("query", "value")}


def test_killed_and_resumed_gives_the_addition_of_an_uninterrupted_run(miniature: Path, tmp_path: Path) -> None:
    encoder = {"lora": {"rank": 4, "dropout": 0.1, "merge": False}, "head": "training"}
    run(tmp_path / "whole", variant="esimcse", **encoder)
    run(tmp_path / "killed", variant="esimcse", **encoder, killed_at=4)
    held = load_file(tmp_path / "killed/checkpoint-2/model.safetensors")
    others = {name for name in held if "lora_" not in name and ".head." not in name}
    assert others == {"momentum.queue", "momentum.length", "momentum.position"}
    run(tmp_path / "killed", variant="esimcse", **encoder)
    whole, resumed = (load_file(tmp_path / name / "encoder/adapter_model.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
