"""What is put around a sentence's tokens: special tokens, or a prompt (PromptBERT; NGCSE's final setting)."""

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from components.config.encoder import MARK, Encoder
from components.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TokenIds = NDArray[np.int32]


@dataclass(frozen=True)
class Template:
    """Token ids to stand before and after a sentence's own."""

    before: TokenIds
    after: TokenIds

    @property
    def ids(self) -> list[int]:
        """The tokens that the template adds."""
        return [*self.before.tolist(), *self.after.tolist()]

    def wrap(self, content: TokenIds) -> TokenIds:
        """The whole sequence, from `content` (tokens,) without special tokens."""
        return np.concatenate([self.before, content, self.after])


def plain_template(tokenizer: "PreTrainedTokenizerBase") -> Template:
    """What the tokenizer itself puts around a text, `[CLS] … [SEP]` for BERT.

    Raises:
        ConfigError: it depends on the text.
    """
    whole = tokenizer("a").input_ids
    content = tokenizer("a", add_special_tokens=False).input_ids
    start = next((i for i in range(len(whole)) if content and whole[i : i + len(content)] == content), None)
    if start is None:
        raise ConfigError(
            "the encoder's tokenizer gives a text other tokens once special ones stand around it; choose another one"
        )
    return Template(np.array(whole[:start], dtype=np.int32), np.array(whole[start + len(content) :], dtype=np.int32))


def without_prompt(tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedTokenizerBase":
    """`tokenizer`, or a copy that puts special tokens alone around a text where it has a prompt built in.

    The prompt belongs to the encoder that the tokenizer was exported with; a new one may have another, or none.
    """
    template = plain_template(tokenizer)
    special = set(tokenizer.all_special_ids) - {tokenizer.mask_token_id}
    before = list(takewhile(special.__contains__, template.before.tolist()))
    after = list(takewhile(special.__contains__, template.after.tolist()[::-1]))[::-1]
    if before + after == template.ids:
        return tokenizer
    return with_template(tokenizer, Template(np.array(before, dtype=np.int32), np.array(after, dtype=np.int32)))


def with_template(tokenizer: "PreTrainedTokenizerBase", template: Template) -> "PreTrainedTokenizerBase":
    """A copy of `tokenizer` whose own post-processing puts `template` around a text, and counts it when truncating."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    def piece(name: str, ids: TokenIds) -> dict[str, object]:
        return {"id": name, "ids": ids.tolist(), "tokens": tokenizer.convert_ids_to_tokens(ids.tolist())}

    backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    sides = {"BEFORE": template.before, "AFTER": template.after}
    backend.post_processor = TemplateProcessing(
        single=" ".join(name if name == "$A" or len(sides[name]) else "" for name in ("BEFORE", "$A", "AFTER")),
        special_tokens=[piece(name, ids) for name, ids in sides.items() if len(ids)],
    )
    # The generic class: a model's own would put its own post-processing back when it is loaded.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        split_special_tokens=tokenizer.split_special_tokens,
        **tokenizer.special_tokens_map,
    )


def prompt_template(tokenizer: "PreTrainedTokenizerBase", text: str) -> Template:
    """The special tokens with the words of `text` inside; `[X]` is the sentence's place, `[MASK]` the one read off.

    Raises:
        ConfigError: the tokenizer has no mask token.
    """
    if tokenizer.mask_token is None:
        raise ConfigError("encoder.pooling: prompt_mask needs a tokenizer with a mask token; this one has none")
    plain = plain_template(tokenizer)
    left, right = text.replace("[MASK]", tokenizer.mask_token).split(MARK)
    before, after = (
        np.array(
            tokenizer(side.strip(), add_special_tokens=False, split_special_tokens=False).input_ids, dtype=np.int32
        )
        for side in (left, right)
    )
    return Template(np.concatenate([plain.before, before]), np.concatenate([after, plain.after]))


def templates_for(tokenizer: "PreTrainedTokenizerBase", settings: Encoder) -> tuple[Template, Template]:
    """(anchor's and use's, other views') templates: prompts for pooling `prompt_mask`, else the plain one twice."""
    if settings.pooling != "prompt_mask":
        return (plain_template(tokenizer),) * 2
    return prompt_template(tokenizer, settings.templates[0]), prompt_template(tokenizer, settings.templates[-1])
