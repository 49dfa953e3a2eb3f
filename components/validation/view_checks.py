"""What the tokens of each kind of view must be: a shard at a time, with a boolean for each of its sentences.

Written apart from the functions that draw the views, which these are there to watch.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.augmentation.tokens import Bools, Ids, Ints, Tokens, cumulative, ranges
from components.config.augmentation import SpanMask, TokenCutoff, TokenShuffle, View, WordRepetition
from components.config.validation import ViewSuite


class Check(NamedTuple):
    """What must hold of all sentences, or of all but a share `but_for` of them.

    Attributes:
        name: of the column that it becomes.
        says: what is expected, the same for every shard.
        holds: whether it is so, (sentences,).
    """

    name: str
    says: str
    holds: Bools
    but_for: float = 0.0


class Vocabulary(NamedTuple):
    """What the encoder's tokenizer knows; `special` are the special ids but the unknown token's, which is a word's."""

    size: int
    special: NDArray[np.int64]
    pad: int | None
    mask: int | None
    room: int  # tokens of a sentence beside the special ones


def checks(
    view: View, columns: list[Tokens], base: Tokens, vocabulary: Vocabulary, limits: ViewSuite
) -> Iterator[Check]:
    """All checks of a view's shard.

    Args:
        columns: the view's tokens; a span mask has two, near and far, and a sentence without them is empty in both.
        base: the identity's tokens of the same sentences.
    """
    hides = {TokenCutoff: vocabulary.pad, SpanMask: vocabulary.mask}.get(type(view))
    if isinstance(view, TokenCutoff) and view.delete:
        hides = None
    ids = np.concatenate([tokens.ids for tokens in columns])
    known = (ids >= 0) & (ids < vocabulary.size)
    plain = ~np.isin(ids, vocabulary.special) | (ids == (-1 if hides is None else hides))
    yield Check("known", f"token ids are from 0 to the encoder's {vocabulary.size - 1}", _everywhere(known, columns))
    yield Check(
        "plain",
        "no token is a special one" + ("" if hides is None else f", but for {hides} where others are hidden"),
        _everywhere(plain, columns),
    )
    match view:
        case WordRepetition():
            yield from _repetition(view, columns[0], base, limits)
        case TokenShuffle():
            yield from _shuffle(view, columns[0], base)
        case TokenCutoff():
            yield from _cutoff(view, columns[0], base, hides)
        case SpanMask():
            yield from _spans(view, columns[0], columns[1], base, hides)
        case _:
            yield Check("cut", f"a sentence has at most {vocabulary.room} tokens", base.lengths <= vocabulary.room)
            says = f"at most {limits.max_empty:.4g} of the sentences have no token"
            yield Check("filled", says, base.lengths > 0, limits.max_empty)


def _repetition(view: WordRepetition, tokens: Tokens, base: Tokens, limits: ViewSuite) -> Iterator[Check]:
    more, rate = tokens.lengths - base.lengths, view.rate
    if view.unit == "subword":
        most = np.minimum(base.lengths, np.maximum(2, _floored(rate * base.lengths)))
        says = f"it is longer than the identity by 0 to max(2, ⌊{rate:g}·N⌋) tokens"
        yield Check("longer", says, (more >= 0) & (more <= most))
        says = "without repeats next to each other, it is the identity"
        yield Check("repeats", says, _equal(_collapsed(tokens), _collapsed(base)))
    else:
        yield Check("longer", "it is as long as the identity, to twice as long", (more >= 0) & (more <= base.lengths))
        yield Check("repeats", "it has the identity's tokens and no others", _equal(_distinct(tokens), _distinct(base)))
    says = f"at most {limits.max_unchanged:.4g} of the sentences have no repeat"
    yield Check("changed", says, more > 0, limits.max_unchanged)


def _shuffle(view: TokenShuffle, tokens: Tokens, base: Tokens) -> Iterator[Check]:
    yield Check("same", "it has the identity's tokens, each as often", _equal(_sorted(tokens), _sorted(base)))
    if view.differs:
        changed = ~_equal(tokens, base) | (_distinct(base).lengths < 2)
        yield Check("changed", "the order is another, where two tokens differ", changed)


def _cutoff(view: TokenCutoff, tokens: Tokens, base: Tokens, pad: int | None) -> Iterator[Check]:
    if view.delete:
        yield Check("kept", "it has the identity's tokens and no others", _contained(tokens, base))
        number = np.minimum(np.rint(view.rate * base.lengths), (base.lengths - 1).clip(0))
        says = f"{view.rate:g}·N tokens, rounded, are cut off, never all"
        yield Check("cut_off", says, base.lengths - tokens.lengths == number)
        return
    hidden = tokens.ids == pad
    yield Check("kept", "tokens not cut off are the identity's, in place", _kept(tokens, base, hidden))
    number = np.minimum(np.maximum(1, _floored(view.rate * base.lengths)), base.lengths - 1).clip(0)
    says = f"max(1, ⌊{view.rate:g}·N⌋) tokens are cut off, never all"
    yield Check("cut_off", says, _counted(hidden, tokens) == number)


def _spans(view: SpanMask, near: Tokens, far: Tokens, base: Tokens, mask: int | None) -> Iterator[Check]:
    short = np.maximum(1, _floored(view.near * base.lengths + 0.5))
    long = np.minimum(_floored(view.far * base.lengths + 0.5), base.lengths - 1)
    there = (near.lengths > 0) & (far.lengths > 0)
    says = "both masks are there, unless the sentence is too short for two"
    yield Check("there", says, (there == (short < long)) & ((near.lengths > 0) == (far.lengths > 0)))
    kept = _kept(near, base, near.ids == mask) & _kept(far, base, far.ids == mask)
    yield Check("kept", "tokens not masked are the identity's, in place", kept | ~there)
    for tokens, number, name, rate in ((near, short, "near", view.near), (far, long, "far", view.far)):
        masked = tokens.ids == mask
        span = (_counted(masked, tokens) == number) & (_counted(_begins(masked, tokens), tokens) == 1)
        says = f"the {name} mask is one span of {rate:g} of the tokens, rounded, at least 1, never all"
        yield Check(name, says, span | ~there)
    inside = _beside(far, near.ids == mask, near) <= (far.ids == mask)
    yield Check("nested", "the near mask lies within the far one", _all(inside, far) | ~there)


def _everywhere(flags: Bools, columns: list[Tokens]) -> Bools:
    """Whether all flags of a sentence hold in each of the columns, whose flags follow one another."""
    parts = np.split(flags, np.cumsum([len(tokens.ids) for tokens in columns])[:-1])
    return np.logical_and.reduce([_all(part, tokens) for part, tokens in zip(parts, columns, strict=True)])


def _kept(tokens: Tokens, base: Tokens, hidden: Bools) -> Bools:
    """Whether a sentence is that of `base` wherever it is not hidden."""
    same = tokens.ids == _beside(tokens, base.ids, base, missing=-1)
    return _all(same | hidden, tokens) & (tokens.lengths == base.lengths)


def _equal(tokens: Tokens, others: Tokens) -> Bools:
    return _kept(tokens, others, np.zeros(len(tokens.ids), np.bool_))


def _contained(tokens: Tokens, base: Tokens) -> Bools:
    """Whether `base` has every token of a sentence, each as often."""
    own, given = _keys(tokens), _keys(base)
    found, places = np.unique(np.concatenate([given, own]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(found)) for part in (places[: len(given)], places[len(given) :])]
    contained = np.ones(len(tokens.lengths), np.bool_)
    contained[(found >> 32)[counts[1] > counts[0]]] = False
    return contained


def _beside(tokens: Tokens, values: Ids | Bools, others: Tokens, missing: int = 0) -> NDArray[np.int64]:
    """`values` of the tokens of `others`, laid beside those of `tokens`; `missing` where they end first."""
    found = np.full(len(tokens.ids), missing, np.int64)
    lengths = np.minimum(tokens.lengths, others.lengths)
    found[ranges(tokens.offsets[:-1], lengths)] = values[ranges(others.offsets[:-1], lengths)]
    return found


def _sorted(tokens: Tokens) -> Tokens:
    """The tokens of each sentence in the order of their ids."""
    return Tokens((np.sort(_keys(tokens)) & 0xFFFFFFFF).astype(np.int32), tokens.offsets)


def _distinct(tokens: Tokens) -> Tokens:
    """The tokens of each sentence once each, in the order of their ids."""
    keys = np.unique(_keys(tokens))
    lengths = np.bincount(keys >> 32, minlength=len(tokens.lengths))
    return Tokens((keys & 0xFFFFFFFF).astype(np.int32), cumulative(lengths))


def _keys(tokens: Tokens) -> Ints:
    """The number of a token's sentence, above its id: sorted, sentences stay together."""
    sentences = np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)
    return (sentences << 32) | (tokens.ids.astype(np.int64) & 0xFFFFFFFF)


def _collapsed(tokens: Tokens) -> Tokens:
    """Without tokens that equal the one before."""
    kept = np.ones(len(tokens.ids), np.bool_)
    kept[1:] = tokens.ids[1:] != tokens.ids[:-1]
    kept[tokens.offsets[:-1][tokens.lengths > 0]] = True
    return Tokens(tokens.ids[kept], cumulative(_counted(kept, tokens)))


def _begins(flags: Bools, tokens: Tokens) -> Bools:
    """Where a run of true flags begins within its sentence."""
    before = np.zeros_like(flags)
    before[1:] = flags[:-1]
    before[tokens.offsets[:-1][tokens.lengths > 0]] = False
    return flags & ~before


def _counted(flags: Bools, tokens: Tokens) -> Ints:
    return np.diff(cumulative(flags)[tokens.offsets])


def _all(flags: Bools, tokens: Tokens) -> Bools:
    return _counted(flags, tokens) == tokens.lengths


def _floored(numbers: NDArray[np.floating]) -> Ints:
    return np.floor(numbers + 1e-9).astype(np.int64)  # 0.29 · 100 is 29, whatever binary fractions say
