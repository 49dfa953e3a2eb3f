"""What stands around a sentence's tokens."""

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from components.config.encoder import Encoder
from components.encoder.templates import Template, plain_template, prompt_template, templates_for
from components.errors import ConfigError


@pytest.fixture(scope="module")
def tokenizer(tiny_encoder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_encoder)


def around(template: Template, tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    content = np.array(tokenizer(text, add_special_tokens=False).input_ids, dtype=np.int32)
    return list(tokenizer.convert_ids_to_tokens(template.wrap(content).tolist()))


def test_plain_template_is_what_the_tokenizer_does(tokenizer: PreTrainedTokenizerBase) -> None:
    tokens = around(plain_template(tokenizer), tokenizer, "the old man sat .")
    assert tokens == tokenizer.convert_ids_to_tokens(tokenizer("the old man sat .").input_ids)


def test_prompt_stands_inside_the_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    tokens = around(prompt_template(tokenizer, "this [X] is [MASK] ."), tokenizer, "old dog")
    assert tokens == ["[CLS]", "this", "old", "dog", "is", "[MASK]", ".", "[SEP]"]


def test_first_template_is_the_anchors_and_last_the_views(tokenizer: PreTrainedTokenizerBase) -> None:
    settings = Encoder(pooling="prompt_mask", templates=["the [X] [MASK]", "a [X] is [MASK]"])
    anchor, view = templates_for(tokenizer, settings)
    assert (around(anchor, tokenizer, "cat")[1], around(view, tokenizer, "cat")[1]) == ("the", "a")


def test_other_poolings_take_no_prompt(tokenizer: PreTrainedTokenizerBase) -> None:
    settings = Encoder(pooling="mean", templates=["the [X] [MASK]"])
    assert [around(template, tokenizer, "cat") for template in templates_for(tokenizer, settings)] == [
        ["[CLS]", "cat", "[SEP]"]
    ] * 2


def test_a_prompt_without_mask_token_is_refused(tiny_encoder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    tokenizer.mask_token = None
    with pytest.raises(ConfigError, match="needs a tokenizer with a mask token"):
        prompt_template(tokenizer, "[X] [MASK]")
