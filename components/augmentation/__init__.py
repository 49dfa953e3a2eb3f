"""Views of a sentence: word repetition, token shuffle, token cutoff, span mask, stored tokenised."""

from components.augmentation.shards import make_view
from components.augmentation.tokens import Tokens, tokenise, tokenise_words
from components.augmentation.views import span_mask, token_cutoff, token_shuffle, word_repetition

__all__ = [
    "Tokens",
    "make_view",
    "span_mask",
    "token_cutoff",
    "token_shuffle",
    "tokenise",
    "tokenise_words",
    "word_repetition",
]
