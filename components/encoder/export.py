"""Export to sentence-transformers' format: plain `SentenceTransformer(path)` gives the very embeddings."""

import tempfile
from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from components.encoder.model import SentenceEncoder
from components.encoder.templates import Template, TokenIds
from components.files import folder_written_whole


def export(encoder: SentenceEncoder, folder: Path | str) -> Path:
    """Write `encoder` as it is used: no training-only head, pooling and prompt built in from standard modules alone.

    `prompt_mask` becomes a tokenizer that puts the prompt around every text, token weights of 1 for `[MASK]` and 0 for
    the rest, and a mean; `first_last_mean` becomes a weighted layer pooling and a mean. Loading needs no custom code.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Pooling,
        Transformer,
        WeightedLayerPooling,
        WordWeights,
    )

    settings = encoder.settings
    modules: list[torch.nn.Module] = []
    with tempfile.TemporaryDirectory() as plain:
        every_layer = settings.pooling == "first_last_mean"
        encoder.transformer.config.output_hidden_states = every_layer
        encoder.transformer.save_pretrained(plain)
        tokenizer = encoder.tokenizer
        if settings.pooling == "prompt_mask":
            tokenizer = _prompting_tokenizer(tokenizer, encoder.anchor_template)
        tokenizer.save_pretrained(plain)
        modules.append(Transformer(plain, max_seq_length=encoder.max_length))
        if every_layer:
            layers = int(encoder.transformer.config.num_hidden_layers)
            weights = torch.zeros(layers + 1)
            weights[1] = weights[layers] = 1.0
            modules.append(
                WeightedLayerPooling(encoder.dim, layers, layer_start=0, layer_weights=torch.nn.Parameter(weights))
            )
        if settings.pooling == "prompt_mask":
            vocabulary = [str(tokenizer.convert_ids_to_tokens(token)) for token in range(len(tokenizer))]
            modules.append(WordWeights(vocabulary, {str(tokenizer.mask_token): 1.0}, unknown_word_weight=0.0))
        modules.append(
            Pooling(encoder.dim, pooling_mode={"cls": "cls", "last": "lasttoken"}.get(settings.pooling, "mean"))
        )
        if settings.head == "always" and isinstance(encoder.head, torch.nn.Sequential):
            dense = encoder.head[0]
            assert isinstance(dense, torch.nn.Linear)
            modules.append(
                Dense(
                    encoder.dim,
                    encoder.dim,
                    activation_function=torch.nn.Tanh(),
                    init_weight=dense.weight.detach(),
                    init_bias=dense.bias.detach(),
                )
            )
        model = SentenceTransformer(modules=modules, device="cpu", similarity_fn_name="cosine")
        with folder_written_whole(folder) as aside:
            model.save(str(aside), create_model_card=False)
    return Path(folder)


def _prompting_tokenizer(tokenizer: PreTrainedTokenizerBase, template: Template) -> PreTrainedTokenizerBase:
    """A copy of `tokenizer` whose own post-processing puts `template` around a text, and counts it when truncating."""

    def piece(name: str, ids: TokenIds) -> dict[str, object]:
        return {"id": name, "ids": ids.tolist(), "tokens": tokenizer.convert_ids_to_tokens(ids.tolist())}

    backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = TemplateProcessing(
        single="BEFORE $A AFTER", special_tokens=[piece("BEFORE", template.before), piece("AFTER", template.after)]
    )
    # The generic class: a model's own would put its own post-processing back when it is loaded.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        padding_side=tokenizer.padding_side,
        split_special_tokens=tokenizer.split_special_tokens,
        **tokenizer.special_tokens_map,
    )
