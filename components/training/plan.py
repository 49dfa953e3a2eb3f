"""Which rows stand in which batch, for a whole training: fixed by the seed before the first step."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from components.config.training import Schedule
from components.config.variants import Part
from components.errors import ConfigError, DataError

Rows = NDArray[np.int64]
Plan = Sequence[NDArray[np.int64]]  # of each step its (part, row) pairs, (rows, 2), in the order of the parts
Texts = Callable[[Rows], NDArray[np.uint64]]  # of a part's rows the digests of their texts, (rows, roles); 0 for none


def rows_per_batch(parts: Sequence[Part], batch_size: int) -> list[int]:
    """How many rows each part has of its own in every batch; the one without `rows` takes what the others leave."""
    rest = batch_size - sum(part.rows or 0 for part in parts)
    return [rest if part.takes_rest else part.rows or 0 for part in parts]


def mean_rows(parts: Sequence[Part], rows: Sequence[Rows], training: Schedule) -> list[float]:
    """How many rows of each part a batch has on average; `rows` as in `batch_plan`."""
    own = rows_per_batch(parts, training.batch_size)
    first = len(rows[0][: training.sentences])
    mixed = first + sum(len(of) for part, of in zip(parts, rows, strict=True) if part.gather is not None)
    counts = [len(of) if part.gather is not None else None for part, of in zip(parts, rows, strict=True)]
    counts[0] = first
    return [
        each if count is None else own[0] * count / mixed for each, count in zip(map(float, own), counts, strict=True)
    ]


class Planned(NamedTuple):
    """The rows of every batch, and in how many cases a row was moved to another batch, or found none."""

    plan: Plan
    moved: int
    left_out: int


def batch_plan(parts: Sequence[Part], rows: Sequence[Rows], training: Schedule, seed: int) -> Plan:
    """`plan_batches` of rows that are told apart by number alone."""
    return plan_batches(parts, rows, training, seed).plan


def plan_batches(
    parts: Sequence[Part], rows: Sequence[Rows], training: Schedule, seed: int, texts: Sequence[Texts] | None = None
) -> Planned:
    """The rows of every batch of a training, in order.

    The first part counts an epoch: each of its rows (a seeded sample of at most `training.sentences`) stands in one
    batch. Parts that gather are shuffled among its rows; what of them has been drawn waits until `gather` are together,
    beyond the end of an epoch too, and what still waits after the last is left out. Other parts go round. Each epoch or
    round is shuffled anew; a round, and an epoch where `training.drop_last` is set, ends with a whole batch, what is
    left over standing out of it. No row is twice in a batch, where it would be its own negative.

    With `texts` no text is in two rows of a batch either, whatever its roles and parts: it would be pushed away from
    itself, and count twice among the negatives of all others. A row that repeats a text changes places with a row of
    its part in another batch of the epoch or round, the next that fits; where none fits, it is left out of its batch.
    So the objective stays the papers' own, and nothing is computed while training. A plan without repeated texts is
    the one without `texts`. Equal arguments give equal plans.

    Args:
        rows: for each part the rows that may be drawn.
        texts: for each part what tells the texts of its rows apart.

    Raises:
        DataError: a part does not fill its share of one batch.
    """
    generator = np.random.default_rng(seed)
    first = generator.permutation(rows[0])[: training.sentences]
    per_batch = rows_per_batch(parts, training.batch_size)
    gathered = {number: part.gather for number, part in enumerate(parts) if part.gather is not None}
    for number, least in gathered.items():
        if len(rows[number]) < least:
            raise DataError(
                f"{parts[number].set}: {len(rows[number])} training rows never come to {least} together; lower "
                "`gather` of the part"
            )
    mixed = np.concatenate([_tagged(0, first), *(_tagged(number, rows[number]) for number in gathered)])
    mixture = list(_mixture(mixed, per_batch[0], gathered, training, generator))
    epochs, batches = [epoch for epoch, _ in mixture], [batch for _, batch in mixture]
    if not batches:
        raise DataError(
            f"{len(mixed)} training rows do not fill one batch of {per_batch[0]}; lower training.batch_size"
        )
    columns, rounds_of = [], dict.fromkeys((0, *gathered), epochs)
    for number, (available, count) in enumerate(zip(rows, per_batch, strict=True)):
        if number == 0 or not count:
            continue
        whole = len(available) // count
        if whole == 0:
            raise DataError(
                f"{len(available)} tuples do not fill their {count} rows of a batch; lower `rows` of the part"
            )
        rounds = -(-len(batches) // whole)
        drawn = np.concatenate([generator.permutation(available)[: whole * count] for _ in range(rounds)])
        columns.append(_tagged(number, drawn[: len(batches) * count]).reshape(len(batches), count, 2))
        rounds_of[number] = [step // whole for step in range(len(batches))]
    plan = []
    for step, batch in enumerate(batches):
        joined = np.concatenate([batch, *(column[step] for column in columns)])
        plan.append(joined[np.argsort(joined[:, 0], kind="stable")])
    return Planned(plan, 0, 0) if texts is None else _Apart(plan, texts, rounds_of).result()


def _mixture(
    mixed: Rows, count: int, gathered: dict[int, int], training: Schedule, generator: Generator
) -> Iterator[tuple[int, Rows]]:
    """Epoch and rows of the first part's batches, with what is gathered of others; `count` rows are drawn for each."""
    waiting = {number: np.empty((0, 2), dtype=np.int64) for number in gathered}
    for epoch in range(training.epochs):
        order = mixed[generator.permutation(len(mixed))]
        whole = len(order) - len(order) % count if training.drop_last else len(order)
        for start in range(0, whole, count):
            drawn = order[start : min(start + count, whole)]
            batch = [drawn[drawn[:, 0] == 0]]
            for number, least in gathered.items():
                waiting[number] = np.concatenate([waiting[number], drawn[drawn[:, 0] == number]])
                # A row may wait from the epoch before when it is drawn again: the second time then waits for another.
                once = np.sort(np.unique(waiting[number][:, 1], return_index=True)[1])
                if len(once) >= least:
                    batch.append(waiting[number][once])
                    waiting[number] = np.delete(waiting[number], once, axis=0)
            joined = np.concatenate(batch)
            if len(joined):
                yield epoch, joined


class _Apart:
    """Rows of a plan that repeat a text of their batch, exchanged with rows of other batches."""

    def __init__(self, plan: Sequence[Rows], texts: Sequence[Texts], rounds: dict[int, list[int]]) -> None:
        """`rounds` are, for each part, the epoch or round that each step belongs to."""
        self._plan = [batch.copy() for batch in plan]
        self._keys = _keys(plan, texts)
        self._rounds = rounds
        self._steps: dict[tuple[int, int], list[int]] = {}  # of a part and round
        for part, of_steps in rounds.items():
            for step, number in enumerate(of_steps):
                self._steps.setdefault((part, number), []).append(step)
        self._counts: dict[int, Counter[int]] = {}  # of a step: text → rows that hold it
        self._stuck: set[tuple[int, int, int]] = set()  # texts that stand in every batch of a part's round

    def result(self) -> Planned:
        moved = left_out = 0
        for step, keys in enumerate(self._keys):
            kept = np.ones(len(keys), dtype=bool)
            for row in _repeating(keys):
                if self._exchange(step, row):
                    moved += 1
                else:
                    kept[row] = False
                    self._held(step).subtract(_texts(keys[row]))
                    left_out += 1
            if not kept.all():
                self._plan[step], self._keys[step] = self._plan[step][kept], keys[kept]
        return Planned(self._plan, moved, left_out)

    def _held(self, step: int) -> Counter[int]:
        if step not in self._counts:
            self._counts[step] = Counter(text for row in self._keys[step] for text in _texts(row))
        return self._counts[step]

    def _exchange(self, step: int, row: int) -> bool:
        """Put another row in the place of `row`, and `row` in its; False where no batch can take it."""
        part, mine = int(self._plan[step][row, 0]), _texts(self._keys[step][row])
        number, here = self._rounds[part][step], self._held(step)
        repeated = [text for text in mine if here[text] > 1]
        if any((part, number, text) in self._stuck for text in repeated):
            return False
        steps = self._steps[part, number]
        after = steps.index(step)
        for other in [*steps[after + 1 :], *steps[:after]]:
            there = self._held(other)
            if any(there[text] for text in repeated):
                continue
            for place in np.flatnonzero(self._plan[other][:, 0] == part):
                theirs = _texts(self._keys[other][place])
                fits_there = all(there[text] <= (text in theirs) for text in mine)
                if fits_there and all(here[text] <= (text in mine) for text in theirs):
                    self._swap(step, row, other, int(place))
                    return True
        self._stuck.update((part, number, text) for text in repeated)
        return False

    def _swap(self, step: int, row: int, other: int, place: int) -> None:
        mine, theirs = _texts(self._keys[step][row]), _texts(self._keys[other][place])
        for at, gone, come in ((step, mine, theirs), (other, theirs, mine)):
            self._held(at).subtract(gone)
            self._held(at).update(come)
        for table in (self._plan, self._keys):
            table[step][row], table[other][place] = table[other][place].copy(), table[step][row].copy()


def _keys(plan: Sequence[Rows], texts: Sequence[Texts]) -> list[NDArray[np.uint64]]:
    """Of each batch the digests of its rows' texts, (rows, roles), those of parts with fewer roles filled up by 0."""
    flat = np.concatenate(list(plan))
    found = {number: of(flat[flat[:, 0] == number, 1]) for number, of in enumerate(texts)}
    keys = np.zeros((len(flat), max(digests.shape[1] for digests in found.values())), dtype=np.uint64)
    for number, digests in found.items():
        keys[flat[:, 0] == number, : digests.shape[1]] = digests
    return [each.copy() for each in np.split(keys, np.cumsum([len(batch) for batch in plan])[:-1])]


def _repeating(keys: NDArray[np.uint64]) -> list[int]:
    """The rows with a text that a row before them has."""
    sorted_ = np.sort(keys, axis=1)
    sorted_[:, 1:][sorted_[:, 1:] == sorted_[:, :-1]] = 0  # in one row a text may stand twice: dropout pairs
    flat = sorted_[sorted_ != 0]
    if len(np.unique(flat)) == len(flat):
        return []
    seen, found = set[int](), []
    for place, row in enumerate(keys):
        texts = _texts(row)
        if seen.isdisjoint(texts):
            seen |= texts
        else:
            found.append(place)
    return found


def _texts(row: NDArray[np.uint64]) -> set[int]:
    return {text for text in row.tolist() if text}


def passes(plan: Plan, parts: Sequence[Part]) -> dict[str, int]:
    """Set → how often the row of it that is seen most is seen in the whole training."""
    pairs = np.concatenate(list(plan))
    seen: dict[str, int] = {}
    for number, part in enumerate(parts):
        most = int(np.bincount(pairs[pairs[:, 0] == number, 1], minlength=1).max())
        seen[part.set] = seen.get(part.set, 0) + most
    return seen


def shared_out(plan: Plan, processes: int) -> list[Rows]:
    """Each batch of `plan` as one share for each process, dealt row by row: all of the first batch, then the second, ….

    Raises:
        ConfigError: a batch has fewer rows than there are processes.
    """
    fewest = min(map(len, plan))
    if fewest < processes:
        raise ConfigError(
            f"a batch of {fewest} rows can't be shared out among {processes} processes; set training.drop_last, or "
            "train in fewer processes"
        )
    return [batch[process::processes] for batch in plan for process in range(processes)]


def _tagged(number: int, rows: Rows) -> Rows:
    return np.stack([np.full_like(rows, number), rows], axis=-1)
