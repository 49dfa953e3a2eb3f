"""The views: pure functions from a batch of tokenised sentences to another, whole arrays at a time.

Every function takes content tokens alone; special tokens are put around a view only when a batch is made.
"""

import numpy as np
from numpy.random import Generator

from components.augmentation.tokens import Bools, Ids, Ints, Tokens, cumulative, ranges

ROWS = 1024  # sentences shuffled at a time: as many as keep the arrays in the cache


def word_repetition(
    tokens: Tokens, generator: Generator, *, rate: float = 0.32, word_starts: Bools | None = None
) -> Tokens:
    """Let some units of each sentence stand twice (ESimCSE, Wu et al. 2022, §3.1).

    Of N units, a number drawn uniformly from the integers 0 … max(2, ⌊rate·N⌋), never above N, is repeated; the places
    are drawn without replacement. Repeats are adjacent. A view may so grow beyond the length its sentence was cut to.

    Args:
        rate: above 0, below 1.
        word_starts: (tokens,) true where a word begins: units are then words, all sub-words of which are repeated;
            without it every token is a unit.
    """
    if word_starts is None:
        times, number = _repeated(tokens.offsets, generator, rate)
        return Tokens(np.repeat(tokens.ids, times), tokens.offsets + cumulative(number))
    starts = np.flatnonzero(word_starts)
    spans = np.diff(starts, append=len(tokens.ids))
    words = np.searchsorted(starts, tokens.offsets)  # the sentences' offsets, counted in words
    times, _ = _repeated(words, generator, rate)
    places = ranges(np.repeat(starts, times), np.repeat(spans, times))
    return Tokens(tokens.ids[places], cumulative(times * spans)[words])


def token_shuffle(tokens: Tokens, generator: Generator, *, differs: bool = True) -> Tokens:
    """The tokens of each sentence in a random order, uniform among all of them or, with `differs`, among the others.

    A sentence with fewer than two different tokens has no other order and stays as it is.
    """
    ids = tokens.ids[_drawn(tokens.offsets, tokens.lengths, generator)]
    if not differs:
        return Tokens(ids, tokens.offsets)
    same = np.flatnonzero(~_differs(ids, tokens))
    stuck = same[_has_two(tokens.take(same))]
    if len(stuck):
        again = token_shuffle(tokens.take(stuck), generator)
        ids[ranges(tokens.offsets[stuck], again.lengths)] = again.ids
    return Tokens(ids, tokens.offsets)


def token_cutoff(
    tokens: Tokens, generator: Generator, *, pad_id: int | None, rate: float = 0.05, delete: bool = False
) -> Tokens:
    """Hide max(1, ⌊rate·N⌋) of the N tokens of each sentence, never all of them (NGCSE §3; Shen et al. 2020).

    Their places, drawn without replacement, hold `pad_id`: a batch gives them no attention, and the tokens after them
    keep their positions. A sentence of one token stays whole.

    Args:
        pad_id: of the tokenizer; `delete` needs none.
        delete: take rate·N tokens out instead, rounded (half to even), so none of 10 at 0.05 and two of 30: NGCSE's
            released code.
    """
    lengths = tokens.lengths
    if delete:
        number = np.minimum(np.rint(rate * lengths).astype(np.int64), (lengths - 1).clip(0))
        kept = np.ones(len(tokens.ids), np.bool_)
        kept[_drawn(tokens.offsets, number, generator)] = False
        return Tokens(tokens.ids[kept], cumulative(lengths - number))
    if pad_id is None:
        raise ValueError("tokens that are hidden need a pad_id; delete needs none")
    number = np.clip(_floored(rate, lengths), np.minimum(1, lengths - 1).clip(0), (lengths - 1).clip(0))
    ids = tokens.ids.copy()
    ids[_drawn(tokens.offsets, number, generator)] = pad_id
    return Tokens(ids, tokens.offsets)


def span_mask(
    tokens: Tokens, generator: Generator, *, mask_id: int, near: float = 0.2, far: float = 0.4
) -> tuple[Tokens, Tokens]:
    """Mask one contiguous span of each sentence, then the same span grown on both sides (ArcCSE §3.3).

    The first span is near·N tokens long, rounded and at least one, anywhere with equal chance; the second is far·N,
    rounded and at most N − 1, and contains the first strictly: how much of the growth lies on the left is drawn evenly
    from what the sentence's ends allow. Each masked token becomes one `mask_id`.

    Returns:
        The near and the far view. A sentence too short for two such spans is empty in both.
    """
    lengths = tokens.lengths
    short = np.maximum(1, _rounded(near, lengths))
    long = np.minimum(_rounded(far, lengths), lengths - 1)
    fits = short < long
    offsets = cumulative(np.where(fits, lengths, 0))
    ids = tokens.ids[np.repeat(fits, lengths)]
    lengths, short, long, starts = lengths[fits], short[fits], long[fits], offsets[:-1][fits]

    first = generator.integers(0, lengths - short, endpoint=True)
    growth = long - short
    least = np.maximum(0, first + long - lengths)  # what does not fit on the right must go to the left
    second = first - generator.integers(least, np.minimum(growth, first), endpoint=True)
    return (
        Tokens(_masked(ids, ranges(starts + first, short), mask_id), offsets),
        Tokens(_masked(ids, ranges(starts + second, long), mask_id), offsets),
    )


def _repeated(units: Ints, generator: Generator, rate: float) -> tuple[Ints, Ints]:
    """How often each unit shall stand, 1 or 2, (units,), and how many of each sentence stand twice, (n,).

    `units` are the sentences' offsets counted in units.
    """
    count = np.diff(units)
    most = np.minimum(count, np.maximum(2, _floored(rate, count)))
    number = generator.integers(0, most, endpoint=True)
    times = np.ones(units[-1], np.int64)
    times[_drawn(units, number, generator)] = 2
    return times, number


def _drawn(offsets: Ints, number: Ints, generator: Generator) -> Ints:
    """Of 0 … offsets[-1] − 1: `number` (n,) of every piece between two offsets, without replacement, in random order.

    Every piece is a row of keys, random bits above the place, and the rows are sorted: no two keys of a row are equal,
    so that the outcome hangs neither on the sorting method nor on the machine.
    """
    width = int(np.diff(offsets).max(initial=0))
    columns = np.arange(width, dtype=np.uint64)
    place_bits = np.uint64((2 << width.bit_length()) - 1)
    ends = cumulative(number)
    drawn = np.empty(ends[-1], np.int64)
    for first in range(0, len(number), ROWS):
        starts = offsets[first : first + ROWS + 1].astype(np.uint64)
        wanted = number[first : first + ROWS].astype(np.uint64)
        keys = generator.integers(0, 1 << 64, (len(wanted), width), dtype=np.uint64)
        keys &= ~place_bits
        keys |= columns
        keys[columns >= np.diff(starts)[:, None]] = np.iinfo(np.uint64).max
        keys.sort(axis=1)
        keys &= place_bits
        keys += starts[:-1, None]
        drawn[ends[first] : ends[first + len(wanted)]] = keys[columns < wanted[:, None]]
    return drawn


def _floored(share: float, counts: Ints) -> Ints:
    return np.floor(share * counts + 1e-9).astype(np.int64)  # 0.29 · 100 is 29, whatever binary fractions say


def _rounded(share: float, counts: Ints) -> Ints:
    return np.floor(share * counts + 0.5 + 1e-9).astype(np.int64)


def _differs(ids: Ids, tokens: Tokens) -> Bools:
    """Whether a sentence of `ids` is another than that of `tokens`, which has the same offsets, (n,)."""
    return _any(ids != tokens.ids, tokens.offsets)


def _has_two(tokens: Tokens) -> Bools:
    """Whether a sentence holds two different tokens, (n,)."""
    first = tokens.ids[np.repeat(tokens.offsets[:-1], tokens.lengths)]
    return _any(tokens.ids != first, tokens.offsets)


def _any(flags: Bools, offsets: Ints) -> Bools:
    return np.diff(cumulative(flags)[offsets]) > 0


def _masked(ids: Ids, places: Ints, mask_id: int) -> Ids:
    masked = ids.copy()
    masked[places] = mask_id
    return masked
