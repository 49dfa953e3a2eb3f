"""Sentences as token ids: one flat array for all of them, and where each begins."""

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from components.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from transformers import PreTrainedTokenizerBase

Ids = NDArray[np.int32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Tokens(NamedTuple):
    """A batch of n sentences: sentence i is `ids[offsets[i]:offsets[i + 1]]`.

    `ids` is int32 of shape (tokens,); `offsets` is int64 of shape (n + 1,), begins with 0 and ends with `len(ids)`.
    """

    ids: Ids
    offsets: Ints

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]]) -> Self:
        """From one list of ids per sentence."""
        offsets = cumulative(np.fromiter(map(len, sentences), np.int64, len(sentences)))
        return cls(np.fromiter(chain.from_iterable(sentences), np.int32, int(offsets[-1])), offsets)

    @property
    def lengths(self) -> Ints:
        """Tokens of each sentence, (n,)."""
        return np.diff(self.offsets)

    def take(self, rows: Ints) -> "Tokens":
        """The sentences `rows`, in that order."""
        lengths = self.lengths[rows]
        return Tokens(self.ids[ranges(self.offsets[rows], lengths)], cumulative(lengths))

    def lists(self) -> list[list[int]]:
        """One list of ids per sentence."""
        return [part.tolist() for part in np.split(self.ids, self.offsets[1:-1])] if len(self.offsets) > 1 else []


def tokenise(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", max_length: int) -> Tokens:
    """Content tokens of each text, without special tokens, cut so that the text fits into `max_length` with them.

    Words that look like special tokens ("[MASK]") are read as plain text, so that no special id stands in the content.
    All cores are used.

    Raises:
        ConfigError: `max_length` leaves no room beside the special tokens, or the tokenizer is not a fast one.
    """
    room = _room(tokenizer, max_length)
    # Twice as fast as calling the tokenizer, which builds masks, offsets and a Python list for every text.
    encodings = _prepared(tokenizer).encode_batch_fast(list(texts), add_special_tokens=False)
    return _cut(Tokens.of([encoding.ids for encoding in encodings]), room)[0]


def tokenise_words(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", max_length: int) -> tuple[Tokens, Bools]:
    """As `tokenise`, and for every token whether it begins a word by the tokenizer's own division, (tokens,)."""
    room = _room(tokenizer, max_length)
    encodings: list[Encoding] = _prepared(tokenizer).encode_batch(list(texts), add_special_tokens=False)
    tokens, kept = _cut(Tokens.of([encoding.ids for encoding in encodings]), room)
    word = np.fromiter(chain.from_iterable(encoding.word_ids for encoding in encodings), np.int64, len(kept))[kept]
    starts = np.diff(word, prepend=-1) != 0
    starts[tokens.offsets[:-1][tokens.lengths > 0]] = True
    return tokens, starts


def cumulative(lengths: Ints | Bools) -> Ints:
    """Offsets (n + 1,) of consecutive pieces of the given lengths (n,): their running sum from 0 on."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """start, start + 1, … (`length` of them) for each pair, one after the other."""
    offsets = cumulative(lengths)
    return np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])


def _prepared(tokenizer: "PreTrainedTokenizerBase") -> "Tokenizer":
    backend: Tokenizer = tokenizer.backend_tokenizer
    # What transformers itself sets anew on every call.
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    return backend


def _room(tokenizer: "PreTrainedTokenizerBase", max_length: int) -> int:
    if not tokenizer.is_fast:
        raise ConfigError(
            f"{type(tokenizer).__name__} is not a fast tokenizer; choose an encoder with a tokenizer.json"
        )
    special = tokenizer.num_special_tokens_to_add()
    if max_length <= special:
        raise ConfigError(f"max_length {max_length} leaves no token beside the {special} special ones; raise it")
    return max_length - special


def _cut(tokens: Tokens, room: int) -> tuple[Tokens, Bools]:
    """The first `room` tokens of each sentence, and which of the flat ids these are."""
    lengths = np.minimum(tokens.lengths, room)
    kept = np.zeros(len(tokens.ids), np.bool_)
    kept[ranges(tokens.offsets[:-1], lengths)] = True
    return Tokens(tokens.ids[kept], cumulative(lengths)), kept
