import pytest
from transformers import PreTrainedTokenizerBase

from components.augmentation.tokens import tokenise, tokenise_words
from components.errors import ConfigError

TEXTS = [
    "the old river crosses the flatlands of the north, slowly, under a stone bridge.",
    "bridges",
    "",
    "a flat stone.",
]


def test_tokenise_is_the_tokenizer_without_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    expected = [tokenizer(text, add_special_tokens=False, truncation=True, max_length=10).input_ids for text in TEXTS]
    assert tokenise(TEXTS, tokenizer, 12).lists() == expected


def test_tokenise_gives_offsets_into_flat_ids(tokenizer: PreTrainedTokenizerBase) -> None:
    ids, offsets = tokenise(TEXTS, tokenizer, 12)
    assert (ids.dtype, offsets.dtype) == ("int32", "int64")
    assert offsets.tolist() == [0, 10, 12, 12, 16]


def test_no_special_token_comes_from_the_text(tokenizer: PreTrainedTokenizerBase) -> None:
    (content,) = tokenise(["the [MASK] bridge [SEP]"], tokenizer, 32).lists()
    assert not {tokenizer.mask_token_id, tokenizer.sep_token_id} & set(content)


def test_words_start_where_the_tokenizer_says(tokenizer: PreTrainedTokenizerBase) -> None:
    tokens, starts = tokenise_words(TEXTS, tokenizer, 12)
    expected = []
    for text in TEXTS:
        words = tokenizer(text, add_special_tokens=False, truncation=True, max_length=10).word_ids()
        expected += [place == 0 or words[place - 1] != word for place, word in enumerate(words)]
    assert starts.tolist() == expected
    assert tokens.lists() == tokenise(TEXTS, tokenizer, 12).lists()


def test_a_length_without_room_for_content_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ConfigError, match="max_length 2 leaves no token beside the 2 special ones"):
        tokenise(TEXTS, tokenizer, 2)
