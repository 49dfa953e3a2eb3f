"""What is put around a sentence's tokens: special tokens, or a prompt (PromptBERT; NGCSE's final setting)."""

from dataclasses import dataclass
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
    """The tokenizer's own special tokens, `[CLS] … [SEP]` for BERT."""
    whole = tokenizer("a").input_ids
    content = tokenizer("a", add_special_tokens=False).input_ids
    start = next(i for i in range(len(whole)) if whole[i : i + len(content)] == content)
    return Template(np.array(whole[:start], dtype=np.int32), np.array(whole[start + len(content) :], dtype=np.int32))


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
