"""LoRA: a low-rank addition to linear layers is trained, and the transformer stays as it is.

Hu et al. 2022, "LoRA: low-rank adaptation of large language models", section 4.1; by peft, an extra dependency.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from components.config.encoder import Lora
from components.encoder.dropout import exchange_dropout
from components.errors import ConfigError

if TYPE_CHECKING:
    from peft import PeftModel


def add_adapter(transformer: PreTrainedModel, settings: Lora) -> "PeftModel":
    """Freeze `transformer` and add trainable matrices to its linear layers, in place; both start as one function.

    Returns:
        peft's wrapping of it, which can merge the addition or save it alone.

    Raises:
        ConfigError: peft is not installed, or a target is none of the linear layers.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise ConfigError("encoder.lora: peft is not installed; run: pip install 'cseflow[lora]'") from None
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules=_targeted(transformer, settings.targets),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in transformer.modules()),
        task_type="FEATURE_EXTRACTION",
    )
    adapted: Any = get_peft_model(transformer, config)
    exchange_dropout(transformer)
    return adapted


def save_adapter(adapted: "PeftModel", folder: Path | str) -> None:
    """Write the addition alone, with the base's absolute path, into `folder`."""
    base = Path(str(adapted.get_base_model().name_or_path)).resolve()
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(str(folder))


def _targeted(transformer: PreTrainedModel, targets: list[str] | None) -> list[str]:
    """Full names of the linear layers that `targets` name by their ends; None names all, a pooler left out."""
    linear = [
        name
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and "pooler" not in name.split(".")
    ]
    if targets is None:
        return linear
    found = {target: [name for name in linear if name == target or name.endswith(f".{target}")] for target in targets}
    for target, names in found.items():
        if not names:
            known = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
            raise ConfigError(
                f"encoder.lora.targets: {transformer.config.model_type!r} has no linear layer named {target!r}, only "
                f"{known}"
            )
    return sorted({name for names in found.values() for name in names})
