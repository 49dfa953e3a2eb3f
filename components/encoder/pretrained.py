"""A transformers checkpoint in a folder: its tokenizer and its transformer, with what an encoder needs of both."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from components.encoder.dropout import exchange_dropout
from components.encoder.templates import without_prompt
from components.errors import ConfigError, DataError

T = TypeVar("T")
# Encoder-decoders whose encoder transformers loads alone, as sentence-transformers does.
ENCODERS = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
# Encoder-decoders that are loaded with a decoder of no layers; the encoder's states are among what they give.
SHORTENED = {"bart", "mbart"}
ADAPTER = "adapter_config.json"  # peft's: of a folder that holds an adapter alone
# What architectures call the dropout rates of hidden states and of attention probabilities.
DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "hidden_dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
    "dropout",
    "dropout_rate",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
)
# Where architectures keep the head of masked language modelling: from states to logits over the vocabulary.
LANGUAGE_HEADS = {"bert": "cls", "roberta": "lm_head", "xlm-roberta": "lm_head", "camembert": "lm_head"}
# Ours and the names that configurations of sentence-transformers' Pooling have had for it.
POOLINGS = {"cls": ("cls",), "mean": ("mean",), "last": ("lasttoken",)}
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The fast tokenizer in `folder`: it pads and cuts on the right, and reads "[MASK]" in a text as plain text.

    A chat template is left out: the encoder embeds the text itself, and plain sentence-transformers would wrap every
    text of an exported folder in it. So is a prompt that an exported tokenizer has built in. A tokenizer without a
    padding token pads with another special one, its end-of-text token first; no attention is paid to either.

    Raises:
        DataError: the folder holds no tokenizer that transformers reads.
        ConfigError: the tokenizer is not a fast one, or has no token to pad with.
    """
    folder = transformer_folder(folder)
    tokenizer: PreTrainedTokenizerBase = _read(
        folder,
        lambda: AutoTokenizer.from_pretrained(
            str(folder),
            local_files_only=True,
            padding_side="right",
            truncation_side="right",
            split_special_tokens=True,
            trust_remote_code=False,
        ),
    )
    if not tokenizer.is_fast:
        raise ConfigError(
            f"{folder}: {type(tokenizer).__name__} is not a fast tokenizer; choose a checkpoint with a tokenizer.json"
        )
    tokenizer.chat_template = None
    if tokenizer.pad_token_id is None:
        special = (tokenizer.eos_token, tokenizer.sep_token, tokenizer.bos_token, tokenizer.cls_token)
        tokenizer.pad_token = next((token for token in special if token is not None), None)
    if tokenizer.pad_token_id is None:
        raise ConfigError(
            f"{folder}: the tokenizer has no padding token, and no other special token to pad with (end or beginning "
            "of a text); choose another checkpoint"
        )
    if any(tokenizer("a", return_token_type_ids=True).token_type_ids):
        # The transformer is given no token types here, so users of the exported tokenizer may not get any either.
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    return without_prompt(tokenizer)


def load_transformer(folder: Path | str, dropout: float | None = None, *, pooler: bool = False) -> PreTrainedModel:
    """The transformer in `folder` in float32, from safetensors alone; of a T5 its encoder, of a BART no decoder layer.

    Args:
        dropout: rate for hidden states and attention probabilities in place of the checkpoint's own (None).
        pooler: whether the checkpoint's pooler is read; else one that lacks its weights serves too.

    Raises:
        DataError: the folder holds no transformers checkpoint, or one that lacks weights.
        ConfigError: the architecture can't be an encoder of texts here, or has no dropout to set.
    """
    folder = transformer_folder(folder)
    config = _config(folder)
    kind = config.model_type
    loader: Any = AutoModel
    if kind in ENCODERS:
        loader = getattr(transformers, ENCODERS[kind])
    elif kind in SHORTENED:
        config.decoder_layers = 0
    elif config.is_encoder_decoder:
        raise ConfigError(
            f"{folder}: {kind!r} is an encoder-decoder whose encoder can't be loaded alone; choose an encoder "
            "(BERT, RoBERTa, ModernBERT, …), a T5, a BART or a decoder (Qwen, Llama, …)"
        )
    if not isinstance(getattr(config, "hidden_size", None), int):
        raise ConfigError(f"{folder}: {kind!r} is no transformer of texts with one hidden size; choose another one")
    if dropout is not None:
        _set_dropout(config, dropout, str(folder))
    transformer, loading = _read(
        folder,
        lambda: loader.from_pretrained(
            str(folder),
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        ),
    )
    unread = {name for name in loading["missing_keys"] if "pooler" in name}
    if pooler and unread:
        raise ConfigError(f"encoder.pooling: {folder} holds no weights of a pooler; take cls, or a head of your own")
    missing = sorted(set(loading["missing_keys"]) - unread)
    if missing:
        raise DataError(
            f"{folder} lacks {len(missing)} weights of its architecture {kind!r}, the first {missing[0]}; fetch it anew"
        )
    exchange_dropout(transformer)
    if kind in SHORTENED:
        read = {id(parameter) for parameter in transformer.get_encoder().parameters()}  # embeddings are shared
        for parameter in transformer.get_decoder().parameters():
            parameter.requires_grad_(id(parameter) in read)
    return transformer


def load_language_head(folder: Path | str) -> nn.Module:
    """The head that the checkpoint in `folder` was pretrained with, for `mlm`: from states (…, dim) to logits.

    It shares no weight with the transformer: what was tied to the embeddings is a copy, as in SimCSE's code.

    Raises:
        DataError: the folder holds no readable checkpoint.
        ConfigError: the checkpoint has no such head, or its architecture keeps it where it can't be told.
    """
    folder = transformer_folder(folder)
    kind = _config(folder).model_type
    if kind not in LANGUAGE_HEADS:
        raise ConfigError(
            f"objective term mlm: it needs a BERT or RoBERTa as encoder.source, and {folder} is a {kind!r}"
        )
    model, loading = _read(
        folder,
        lambda: AutoModelForMaskedLM.from_pretrained(
            str(folder),
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        ),
    )
    name = LANGUAGE_HEADS[kind]
    if any(key.startswith(name) and "decoder" not in key for key in loading["missing_keys"]):
        raise ConfigError(
            f"objective term mlm: {folder} holds no head of masked language modelling; choose a base encoder as it was "
            "pretrained, such as bert-base-uncased"
        )
    head: nn.Module = copy.deepcopy(getattr(model, name))
    exchange_dropout(head)
    return head


def own_pooler(transformer: PreTrainedModel) -> tuple[nn.Linear, nn.Module]:
    """The dense layer and tanh over the first token's state that a BERT or RoBERTa is pretrained with.

    Raises:
        ConfigError: the architecture has none of that kind.
    """
    pooler: Any = getattr(transformer, "pooler", None)
    dense, activation = getattr(pooler, "dense", None), getattr(pooler, "activation", None)
    if not isinstance(dense, nn.Linear) or not isinstance(activation, nn.Tanh):
        raise ConfigError(
            f"encoder.pooling: pooler is a BERT's or RoBERTa's own, which {transformer.config.model_type!r} has not; "
            "take cls, or a head of your own"
        )
    return dense, activation


def freeze(transformer: PreTrainedModel, layers: int) -> None:
    """Keep the embeddings and the first `layers` layers as they are: they take no gradient. Dropout stays.

    Raises:
        ConfigError: embeddings or layers of their own can't be told in the architecture, or it has fewer.
    """
    kind = transformer.config.model_type
    embeddings = getattr(transformer, "embeddings", None)
    if not isinstance(embeddings, nn.Module):
        raise ConfigError(f"encoder.frozen_layers: the embeddings of {kind!r} can't be frozen here; leave it null")
    embeddings.requires_grad_(False)
    if layers == 0:
        return
    count = int(transformer.config.num_hidden_layers)
    stacks = (each for each in transformer.modules() if isinstance(each, nn.ModuleList) and len(each) == count)
    stack = next(stacks, None)
    if stack is None:
        raise ConfigError(f"encoder.frozen_layers: {kind!r} has no layers of their own to freeze; take 0 or null")
    if layers > count:
        raise ConfigError(f"encoder.frozen_layers: {layers} of {count} layers can't be frozen; take fewer")
    for layer in stack[:layers]:
        layer.requires_grad_(False)


def first_position(transformer: PreTrainedModel) -> int | None:
    """The position of a sequence's first token where positions must be given to the transformer; else None.

    RoBERTa and its kind (XLM-R, MPNet, …) count positions over what is no padding, from the padding token's id + 1 on:
    a token hidden in the midst of a sequence would shift all that follow.
    """
    table = getattr(getattr(transformer, "embeddings", None), "position_embeddings", None)
    if not isinstance(table, nn.Embedding) or table.padding_idx is None:
        return None
    return int(table.padding_idx) + 1


def most_tokens(transformer: PreTrainedModel) -> int | None:
    """How many tokens a sequence can have, special ones included; None where nothing bounds it (T5, XLNet)."""
    bound = getattr(transformer.config, "max_position_embeddings", None)
    if not isinstance(bound, int) or bound < 1:
        return None
    return bound - (first_position(transformer) or 0)


def transformer_folder(folder: Path | str) -> Path:
    """Where transformer and tokenizer lie in `folder`: in itself, or where its modules.json says (0_Transformer)."""
    modules = _json(Path(folder) / "modules.json", [])
    places = (str(module.get("path", "")) for module in modules if _kind(module) == "Transformer")
    return Path(folder) / next(places, "")


def normalises(folder: Path | str) -> bool:
    """Whether `folder` is a sentence-transformers folder whose vectors are of length 1."""
    modules = _json(Path(folder) / "modules.json", [])
    return bool(modules) and _kind(modules[-1]) == "Normalize"


def left_out(folder: Path | str, pooling: str) -> list[str]:
    """What a sentence-transformers folder does beside transformer, tokenizer and a normalisation at its end.

    Those alone are loaded. Empty for a plain transformers checkpoint.

    Args:
        pooling: the encoder's own, as `encoder.pooling` names it.
    """
    folder = Path(folder)
    found: list[str] = []
    for module in _json(folder / "modules.json", []):
        kind, place = _kind(module), folder / str(module.get("path", ""))
        if kind == "Transformer":
            if _json(place / "sentence_bert_config.json", {}).get("do_lower_case"):
                found.append("lower-casing of texts")
        elif kind == "Pooling":
            config = _json(place / "config.json", {})
            modes = config.get("pooling_mode") or [
                key for key, on in config.items() if "pooling_mode" in key and on is True
            ]
            if not any(mode in str(modes) for mode in POOLINGS.get(pooling, ())):
                found.append(f"pooling {modes} (encoder.pooling is {pooling})")
        elif kind not in {"Normalize", "Dropout"}:
            found.append(f"module {kind}")
    settings = _json(folder / "config_sentence_transformers.json", {})
    default = settings.get("default_prompt_name")
    if default:
        found.append(f"default prompt {default!r}")
    prompts = settings.get("prompts") or {}
    found += [f"prompt {name!r}" for name, text in prompts.items() if text and name != default]
    return found


def _kind(module: dict[str, Any]) -> str:
    """The class of a module, as modules.json names it."""
    return str(module.get("type", "")).rpartition(".")[2]


def _read(folder: Path | str, load: Callable[[], T]) -> T:
    if not Path(folder).is_dir():
        raise DataError(f"{folder} is missing; run `dvc repro` to fetch the encoder")
    try:
        return load()
    except UNREADABLE as error:
        if "trust_remote_code" in str(error):
            raise ConfigError(
                f"{folder} needs code of its own (auto_map in its config.json), which is never run; choose a "
                "checkpoint of an architecture that transformers knows"
            ) from None
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{folder} holds no readable transformers checkpoint: {reason}") from error


def _config(folder: Path | str) -> PretrainedConfig:
    adapter = _json(Path(folder) / ADAPTER, None)
    if adapter is not None:
        raise ConfigError(
            f"{folder} holds an adapter of {adapter.get('base_model_name_or_path')!r}, not a whole checkpoint; merge "
            "it into its base (peft's merge_and_unload, or an export with encoder.lora.merge: true)"
        )
    return _read(
        folder, lambda: AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    )


def _set_dropout(config: PretrainedConfig, rate: float, folder: str) -> None:
    known = [name for name in DROPOUTS if isinstance(getattr(config, name, None), int | float)]
    if not known:
        raise ConfigError(f"encoder.dropout: {config.model_type!r} of {folder} has no dropout to set; leave it null")
    for name in known:
        setattr(config, name, rate)


def _json(path: Path, otherwise: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return otherwise
