"""Export to sentence-transformers' format: plain `SentenceTransformer(path)` gives the very embeddings."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.encoder.model import SentenceEncoder
from components.encoder.packed import ENCODER_STATES
from components.encoder.pooling import EVERY_LAYER
from components.encoder.pretrained import SHORTENED
from components.encoder.templates import with_template
from components.errors import CseflowError
from components.files import folder_written_whole

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

ROUNDING = 1e-4  # of an embedding's length; float32 differs by less than 1e-5 from one order of sums to another


def export(encoder: SentenceEncoder, folder: Path | str) -> Path:
    """Write `encoder` as it is used: no training-only head, pooling and prompt built in from standard modules alone.

    `prompt_mask` becomes a tokenizer that puts the prompt around every text, token weights of 1 for `[MASK]` and 0 for
    the rest, and a mean; a mean over two layers becomes a weighted layer pooling and a mean; BERT's own pooler a dense
    layer; a base's normalisation is kept. Loading needs no custom code. LoRA's addition is merged into `encoder`'s own
    weights, or, with `lora.merge: false`, alone written: the folder then needs peft and the base in its place.
    The folder is read back before it takes its place, as its users will read it.

    Raises:
        CseflowError: what was read back gives other embeddings than `encoder`.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Normalize,
        Pooling,
        Transformer,
        WeightedLayerPooling,
        WordWeights,
    )

    settings = encoder.settings
    texts = probes(encoder.max_length)
    wanted = encoder.encode(texts)
    if settings.lora is not None and settings.lora.merge:
        encoder.merge_adapter()
    modules: list[torch.nn.Module] = []
    with tempfile.TemporaryDirectory() as plain:
        every_layer = settings.pooling in EVERY_LAYER
        encoder.transformer.config.output_hidden_states = every_layer
        encoder.save_transformer(plain)
        tokenizer = encoder.tokenizer
        if settings.pooling == "prompt_mask":
            tokenizer = with_template(tokenizer, encoder.anchor_template)
        tokenizer.save_pretrained(plain)
        modules.append(Transformer(plain, max_seq_length=encoder.max_length, **_output_read(encoder)))
        if every_layer:
            layers = int(encoder.transformer.config.num_hidden_layers)
            weights = torch.zeros(layers + 1)
            for layer in EVERY_LAYER[settings.pooling]:
                weights[layer] = 1.0
            modules.append(
                WeightedLayerPooling(encoder.dim, layers, layer_start=0, layer_weights=torch.nn.Parameter(weights))
            )
        if settings.pooling == "prompt_mask":
            vocabulary = [str(tokenizer.convert_ids_to_tokens(token)) for token in range(len(tokenizer))]
            modules.append(WordWeights(vocabulary, {str(tokenizer.mask_token): 1.0}, unknown_word_weight=0.0))
        modules.append(
            Pooling(
                encoder.dim,
                pooling_mode={"cls": "cls", "pooler": "cls", "last": "lasttoken"}.get(settings.pooling, "mean"),
            )
        )
        for dense, activation in encoder.dense_layers():
            modules.append(
                Dense(
                    encoder.dim,
                    encoder.dim,
                    activation_function=activation,
                    init_weight=dense.weight.detach(),
                    init_bias=dense.bias.detach(),
                )
            )
        if encoder.normalised:
            modules.append(Normalize())
        model = SentenceTransformer(modules=modules, device="cpu", similarity_fn_name="cosine")
        with folder_written_whole(folder) as aside:
            model.save(str(aside), create_model_card=False)
            read = SentenceTransformer(str(aside), device=str(encoder.device), trust_remote_code=False)
            require_same(texts, embed(read, texts), wanted, "the exported folder")
    return Path(folder)


def _output_read(encoder: SentenceEncoder) -> dict[str, Any]:
    """For sentence-transformers' Transformer: which output it is to read, where that is not the usual one."""
    if encoder.transformer.config.model_type not in SHORTENED:
        return {}
    read = {"text": {"method": "forward", "method_output_name": ENCODER_STATES}}
    return {"modality_config": read, "module_output_name": "token_embeddings"}


def probes(max_length: int) -> list[str]:
    """Texts that show whether two encoders read alike: short, beyond `max_length` tokens, of odd space and letters."""
    return [
        "A boat.",
        "The old carpenter wrote a letter, which nobody in the village could read.",
        "  THE   Old\tcarpenter\nwrote A LETTER.  ",
        "Ωραία café, naïve 東京 \U0001f600 – “quoted” [MASK] <s> </s>",
        "The library of the old monastery burned after the storm. " * max_length,
    ]


def embed(model: "SentenceTransformer", texts: list[str]) -> NDArray[np.float32]:
    """What a user gets for `texts`, (texts, dim), two of them padded together at a time."""
    return np.asarray(model.encode(texts, batch_size=2, show_progress_bar=False), dtype=np.float32)


def require_same(texts: Sequence[str], given: NDArray[np.float32], wanted: NDArray[np.float32], what: str) -> None:
    """Refuse embeddings (texts, dim) that `what` gives, if they are not those `wanted` but for rounding.

    Raises:
        CseflowError: naming the text with the greatest difference.
    """
    if given.shape == wanted.shape:
        length = np.linalg.norm(wanted, axis=1)
        apart = np.linalg.norm(given - wanted, axis=1) / np.maximum(length, np.finfo(np.float32).tiny)
        worst = int(np.argmax(np.nan_to_num(apart, nan=np.inf)))
        if apart[worst] <= ROUNDING:
            return
        how = f"embeds {texts[worst][:60]!r} {apart[worst]:.2g} of its length away from the trained encoder"
    else:
        how = f"gives embeddings of shape {given.shape}, the trained encoder {wanted.shape}"
    raise CseflowError(
        f"{what} {how}, so scores of the two would differ; choose another base encoder or encoder.pooling, and report "
        "this base as a bug"
    )
