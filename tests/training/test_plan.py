"""Which rows stand in which batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from components.config.training import Training
from components.config.variants import Part, Roles
from components.errors import ConfigError, DataError
from components.training.plan import Texts, batch_plan, mean_rows, passes, plan_batches, rows_per_batch, shared_out

CORPUS, TUPLES = np.arange(100, 120), np.array([3, 5, 7, 9, 11])
Batches = Sequence[NDArray[np.int64]]


def training(**changed: Any) -> Training:
    return Training(learning_rate=1e-5, evaluation_steps=1, **changed)


def plan(seed: int = 0, per_batch: tuple[int, int] = (4, 2), **changed: Any) -> Batches:
    parts = [part(None), part(per_batch[1])]
    return batch_plan(parts, [CORPUS, TUPLES], training(batch_size=sum(per_batch), **changed), seed)


def drawn(batches: Batches, part: int) -> list[int]:
    flat = np.concatenate(list(batches))
    return flat[flat[:, 0] == part, 1].tolist()


def part(rows: int | None = None, gather: int | None = None) -> Part:
    roles = Roles(anchor="identity", positive="identity")
    return Part(set="tuples/sts" if gather else "corpus", rows=rows, gather=gather, roles=roles)


def test_a_part_without_rows_takes_what_the_others_leave() -> None:
    assert rows_per_batch([part(None), part(16)], 64) == [48, 16]


def test_every_batch_has_the_rows_of_every_part() -> None:
    assert [[batch[:, 0].tolist().count(number) for number in (0, 1)] for batch in plan()] == [[4, 2]] * 5


def test_every_row_of_the_first_part_stands_once_in_an_epoch() -> None:
    batches = plan(epochs=2)
    first, second = batches[:5], batches[5:]
    assert sorted(drawn(first, 0)) == sorted(drawn(second, 0)) == CORPUS.tolist()


def test_epochs_differ_in_order() -> None:
    batches = plan(epochs=2)
    first, second = batches[:5], batches[5:]
    assert drawn(first, 0) != drawn(second, 0)


def test_other_parts_go_round() -> None:
    assert set(drawn(plan(), 1)) == set(TUPLES.tolist())


def test_no_row_stands_twice_in_a_batch() -> None:
    batches = plan(per_batch=(4, 3), epochs=4)
    assert all(len(set(rows)) == len(rows) for rows in (drawn([batch], 1) for batch in batches))


def test_a_last_smaller_batch_is_left_out() -> None:
    rows = drawn(plan(per_batch=(6, 2)), 0)
    assert len(rows) == len(set(rows)) == 18


def test_a_last_smaller_batch_may_be_kept() -> None:
    batches = plan(per_batch=(6, 2), drop_last=False, epochs=2)
    assert [len(drawn([batch], 0)) for batch in batches] == [6, 6, 6, 2] * 2
    assert sorted(drawn(batches[:4], 0)) == sorted(drawn(batches[4:], 0)) == CORPUS.tolist()


def test_sentences_bound_the_first_part_to_one_sample_for_all_epochs() -> None:
    batches = plan(sentences=8, epochs=3)
    assert (len(batches), len(set(drawn(batches, 0)))) == (6, 8)


def test_the_seed_decides() -> None:
    assert np.array_equal(np.stack(plan(seed=1)), np.stack(plan(seed=1)))


def test_another_seed_gives_other_batches() -> None:
    assert not np.array_equal(np.stack(plan(seed=1)), np.stack(plan(seed=2)))


def test_too_few_rows_say_what_to_lower() -> None:
    with pytest.raises(DataError, match=r"20 training rows do not fill one batch of 21; lower training\.batch_size"):
        plan(per_batch=(21, 2))


def test_too_few_tuples_say_what_to_lower() -> None:
    with pytest.raises(DataError, match="5 tuples do not fill their 6 rows of a batch; lower `rows` of the part"):
        plan(per_batch=(4, 6))


# Parts that gather, as NGCSE's collator has it: what it does, once more in plain Python.


def gathered(tuples: int, least: int, **changed: Any) -> Batches:
    rows = [np.arange(100, 200), np.arange(tuples)]
    return batch_plan([part(), part(gather=least)], rows, training(batch_size=16, **changed), seed=3)


def plain_batches(tuples: int, least: int, epochs: int, *, drop_last: bool) -> list[list[tuple[int, int]]]:
    generator = np.random.default_rng(3)
    first = generator.permutation(np.arange(100, 200)).tolist()
    everything = [(0, row) for row in first] + [(1, row) for row in range(tuples)]
    batches, waiting = [], list[tuple[int, int]]()
    for _ in range(epochs):
        order = [everything[i] for i in generator.permutation(len(everything))]
        while len(order) >= (16 if drop_last else 1):
            step, order = order[:16], order[16:]
            batch = [pair for pair in step if pair[0] == 0]
            waiting += [pair for pair in step if pair[0] == 1]
            if len(set(waiting)) >= least:
                ready = list(dict.fromkeys(waiting))
                for pair in ready:
                    waiting.remove(pair)
                batch += ready
            batches.append(batch)
    return batches


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize(("tuples", "least", "epochs"), [(60, 16, 1), (60, 48, 3), (20, 16, 4), (7, 1, 2)])
def test_tuples_gather_as_a_plain_loop_has_it(tuples: int, least: int, epochs: int, drop_last: bool) -> None:
    batches = gathered(tuples, least, epochs=epochs, drop_last=drop_last)
    found = [[(int(number), int(row)) for number, row in batch] for batch in batches]
    assert found == plain_batches(tuples, least, epochs, drop_last=drop_last)


def test_a_batch_has_all_tuples_that_have_gathered_or_none() -> None:
    counts = [len(drawn([batch], 1)) for batch in gathered(60, 16)]
    assert {count for count in counts if count < 16} == {0} and max(counts) >= 16


def test_a_tuple_that_gathers_is_seen_once_an_epoch_and_once_in_a_batch() -> None:
    batches = gathered(20, 16, epochs=12, drop_last=False)
    times = np.bincount(drawn(batches, 1), minlength=20)
    assert times.max() <= 12 and times.sum() > 12 * 20 - 2 * 16
    assert all(len(set(rows)) == len(rows) for rows in (drawn([batch], 1) for batch in batches))


def test_other_parts_keep_their_rows_beside_one_that_gathers() -> None:
    parts = [part(), part(2), part(gather=4)]
    batches = batch_plan(parts, [CORPUS, TUPLES, np.arange(8)], training(batch_size=9), seed=0)
    assert {len(drawn([batch], 1)) for batch in batches} == {2}
    assert all((np.diff(batch[:, 0]) >= 0).all() for batch in batches)


def test_too_few_to_gather_say_what_to_lower() -> None:
    with pytest.raises(DataError, match="tuples/sts: 15 training rows never come to 16 together; lower `gather`"):
        gathered(15, 16)


def test_passes_count_the_row_that_is_seen_most() -> None:
    batches = plan(per_batch=(4, 4), epochs=3)
    counts = np.bincount(drawn(batches, 1))
    seen = passes(batches, [part(), part(4).model_copy(update={"set": "tuples/sts"})])
    assert seen == {"corpus": 3, "tuples/sts": counts.max()}


def test_a_batch_has_on_average_what_is_told() -> None:
    parts, rows = [part(), part(2), part(gather=4)], [CORPUS, TUPLES, np.arange(10)]
    assert mean_rows(parts, rows, training(batch_size=8)) == [4.0, 2.0, 2.0]


def planned(steps: int, *rows: int) -> NDArray[np.int64]:
    """A plan of `steps` batches with so many rows of each part, each with a number of its own."""
    parts = np.repeat(np.arange(len(rows)), rows)
    numbers = np.arange(steps * len(parts)).reshape(steps, -1)
    return np.stack([np.broadcast_to(parts, numbers.shape), numbers], axis=-1)


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [(4, 2), (5, 0), (3, 4)])
def test_shares_dealt_in_turn_are_the_planned_batch(processes: int, rows: tuple[int, int]) -> None:
    batches = planned(3, *rows)
    shares = shared_out(list(batches), processes)
    for step, batch in enumerate(batches):
        own = shares[step * processes : (step + 1) * processes]
        dealt = [share[k].tolist() for k in range(len(own[0])) for share in own if k < len(share)]
        assert dealt == batch.tolist()


def test_a_batch_smaller_than_the_processes_is_refused() -> None:
    with pytest.raises(ConfigError, match="a batch of 3 rows can't be shared out among 4 processes; set training"):
        shared_out(list(planned(1, 3)), 4)


def told(rows: dict[int, tuple[int, ...]]) -> Texts:
    """Two texts of a row, its own number unless `rows` says otherwise."""

    def texts(wanted: NDArray[np.int64]) -> NDArray[np.uint64]:
        return np.array([rows.get(int(row), (int(row), int(row))) for row in wanted], dtype=np.uint64).reshape(-1, 2)

    return texts


def repeated(batches: Batches, texts: Sequence[Texts]) -> int:
    """How many texts stand in two rows of one batch."""
    found = 0
    for batch in batches:
        held = [set(texts[part](np.array([row]))[0].tolist()) - {0} for part, row in batch]
        found += sum(map(len, held)) - len(set().union(*held))
    return found


SAME = {row: (1000 + row % 4, row) for row in CORPUS.tolist()}  # each anchor in five rows
ACROSS = {3: (1000, 3), 5: (5, 1001), 7: (0, 110)}  # and in the tuples


@pytest.mark.parametrize("changed", [{}, {"epochs": 3}, {"drop_last": False}])
@pytest.mark.parametrize("gather", [None, 2])
def test_no_text_stands_in_two_rows_of_a_batch(gather: int | None, changed: dict[str, Any]) -> None:
    parts = [part(None), part(None if gather else 1, gather)]
    texts, setting = [told(SAME), told(ACROSS)], training(batch_size=4 if gather else 5, **changed)
    before = batch_plan(parts, [CORPUS, TUPLES], setting, 0)
    after, moved, left_out = plan_batches(parts, [CORPUS, TUPLES], setting, 0, texts)
    assert repeated(before, texts) > 0 == repeated(after, texts)
    assert moved > 0 and sum(map(len, after)) == sum(map(len, before)) - left_out


def test_a_moved_row_stays_in_its_epoch_or_round() -> None:
    parts, texts = [part(None), part(1)], [told({100: (1, 1), 101: (1, 1), 102: (1, 1)}), told({3: (1, 3)})]
    setting = training(batch_size=5, epochs=2)
    after, _, left_out = plan_batches(parts, [CORPUS, TUPLES], setting, 0, texts)
    assert left_out == 0 == repeated(after, texts)
    assert sorted(drawn(after[:5], 0)) == sorted(drawn(after[5:], 0)) == CORPUS.tolist()
    assert sorted(drawn(after[:5], 1)) == sorted(drawn(after[5:], 1)) == TUPLES.tolist()


def test_a_text_in_more_rows_than_there_are_batches_is_left_out_of_some() -> None:
    texts = [told({row: (1, row) for row in CORPUS[:7].tolist()})]
    after, _, left_out = plan_batches([part()], [CORPUS], training(batch_size=4), 0, texts)
    assert (left_out, repeated(after, texts), len(drawn(after, 0))) == (2, 0, 18)


def test_a_plan_without_repeated_texts_is_the_plain_one() -> None:
    parts, setting = [part(None), part(2)], training(batch_size=6, epochs=2)
    after, moved, left_out = plan_batches(parts, [CORPUS, TUPLES], setting, 3, [told({}), told({})])
    before = batch_plan(parts, [CORPUS, TUPLES], setting, 3)
    assert (moved, left_out) == (0, 0)
    np.testing.assert_array_equal(after, before)


def test_equal_arguments_give_equal_plans() -> None:
    plans = [plan_batches([part()], [CORPUS], training(batch_size=4), 1, [told(SAME)]).plan for _ in range(2)]
    np.testing.assert_array_equal(*plans)
