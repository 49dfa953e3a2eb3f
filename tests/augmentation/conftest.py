"""A small tokenizer of the BERT kind, so that no download is needed."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "a", "old", "river", "crosses", "flat", "lands", "of", "north", "and", "south", "slow", "ly", "under"]
WORDS += ["stone", "bridge", "s", "[", "]", "mask", ".", ","]
PIECES = [f"##{word}" for word in WORDS]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tokenizer that puts [CLS] and [SEP] around a sentence."""
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *WORDS, *PIECES])}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    core.enable_truncation(8)  # as many published tokenizers come; it must not cut what a view keeps
    core.enable_padding(length=8)
    names = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], SPECIAL, strict=True))
    folder = tmp_path_factory.mktemp("sources") / "encoder"
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(encoder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(encoder)
