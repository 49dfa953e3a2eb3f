"""Tiny random checkpoints of many architectures, each with a tokenizer in its family's manner."""

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tests.project import sentences

POSITIONS = 66  # of the tables of positions; two of RoBERTa's are not for tokens
ENCODERS = ["bert", "roberta", "xlm-roberta", "mpnet", "distilbert", "deberta-v2", "modernbert", "electra", "albert"]
DECODERS = ["gpt2", "qwen2", "llama"]
SEQUENCE_TO_SEQUENCE = ["t5", "bart", "mbart"]
TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
}
OWN: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": POSITIONS},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS},
    "t5": {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2},
    "bart": {
        "d_model": 32,
        **{f"{side}_{name}": 2 for side in ("encoder", "decoder") for name in ("layers", "attention_heads")},
        **{f"{side}_ffn_dim": 48 for side in ("encoder", "decoder")},
        "max_position_embeddings": POSITIONS,
    },
}
OWN["mbart"] = OWN["bart"]
MORE: dict[str, dict[str, Any]] = {
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16, "hidden_dropout_prob": 0.1},
    "modernbert": {"attention_dropout": 0.1, "mlp_dropout": 0.1},
    "qwen2": {"num_key_value_heads": 1, "attention_dropout": 0.1},
    "llama": {"num_key_value_heads": 1, "attention_dropout": 0.1},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
}
BERTS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTAS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def checkpoint(kind: str, folder: Path, **config: Any) -> Path:
    """A checkpoint of architecture `kind` in `folder`; `config` lies over its tiny configuration."""
    tokenizer = tokenizer_of(kind)
    special = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "cls", "sep")
    }
    settings = OWN.get(kind, TINY) | MORE.get(kind, {}) | special | {"vocab_size": len(tokenizer)} | config
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **settings))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    """Byte pairs of the test's sentences; special tokens, and what stands around a text, as `kind` has them."""
    if kind in {"roberta", "xlm-roberta", "mpnet", "bart", "mbart"}:
        first, pad, last, unknown, mask = order = ROBERTAS
        names = {"bos_token": first, "cls_token": first, "eos_token": last, "sep_token": last}
        names |= {"pad_token": pad, "unk_token": unknown, "mask_token": mask}
        around = f"{first} $A {last}"
    elif kind == "t5":
        order, around = ["<pad>", "</s>", "<unk>"], "$A </s>"
        names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    elif kind in DECODERS:  # GPT-2 and Llama have no padding token, Qwen has no token to begin with
        order = ["<|end|>", "<|pad|>"] if kind == "qwen2" else ["<|end|>"]
        names = {"eos_token": "<|end|>"} | ({"pad_token": "<|pad|>"} if kind == "qwen2" else {"bos_token": "<|end|>"})
        around = "<|end|> $A" if kind == "llama" else "$A"
    else:
        pad, unknown, first, last, mask = order = BERTS
        names = {"pad_token": pad, "unk_token": unknown, "cls_token": first, "sep_token": last, "mask_token": mask}
        around = f"{first} $A {last}"
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer, tokens.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokens.train_from_iterator(
        sentences(200, 9),
        trainers.BpeTrainer(vocab_size=340, special_tokens=order, initial_alphabet=alphabet, show_progress=False),
    )
    named = [(name, tokens.token_to_id(name)) for name in order]
    tokens.post_processor = processors.TemplateProcessing(single=around, special_tokens=named)
    side = "left" if kind in {"qwen2", "llama"} else "right"
    return PreTrainedTokenizerFast(tokenizer_object=tokens, padding_side=side, **names)
