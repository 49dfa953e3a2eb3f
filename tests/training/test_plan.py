"""Which rows stand in which batch."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from components.config.training import Training
from components.config.variants import Part, Roles
from components.errors import ConfigError, DataError
from components.training.plan import batch_plan, rows_per_batch, shared_out

CORPUS, TUPLES = np.arange(100, 120), np.array([3, 5, 7, 9, 11])


def training(**changed: Any) -> Training:
    return Training(learning_rate=1e-5, evaluation_steps=1, **changed)


def plan(seed: int = 0, per_batch: tuple[int, int] = (4, 2), **changed: Any) -> NDArray[np.int64]:
    return batch_plan([CORPUS, TUPLES], per_batch, training(**changed), seed)


def drawn(batches: NDArray[np.int64], part: int) -> list[int]:
    flat = batches.reshape(-1, 2)
    return flat[flat[:, 0] == part, 1].tolist()


def part(rows: int | None) -> Part:
    return Part(set="corpus", rows=rows, roles=Roles(anchor="identity", positive="identity"))


def test_a_part_without_rows_takes_what_the_others_leave() -> None:
    assert rows_per_batch([part(None), part(16)], 64) == [48, 16]


def test_every_batch_has_the_rows_of_every_part() -> None:
    assert [[batch[:, 0].tolist().count(number) for number in (0, 1)] for batch in plan()] == [[4, 2]] * 5


def test_every_row_of_the_first_part_stands_once_in_an_epoch() -> None:
    first, second = plan(epochs=2).reshape(2, -1, 2)
    assert sorted(drawn(first, 0)) == sorted(drawn(second, 0)) == CORPUS.tolist()


def test_epochs_differ_in_order() -> None:
    first, second = plan(epochs=2).reshape(2, -1, 2)
    assert drawn(first, 0) != drawn(second, 0)


def test_other_parts_go_round() -> None:
    assert set(drawn(plan(), 1)) == set(TUPLES.tolist())


def test_no_row_stands_twice_in_a_batch() -> None:
    batches = plan(per_batch=(4, 3), epochs=4)
    assert all(len(set(rows)) == len(rows) for rows in (drawn(batch, 1) for batch in batches))


def test_a_last_smaller_batch_is_left_out() -> None:
    rows = drawn(plan(per_batch=(6, 2)), 0)
    assert len(rows) == len(set(rows)) == 18


def test_sentences_bound_the_first_part_to_one_sample_for_all_epochs() -> None:
    batches = plan(sentences=8, epochs=3)
    assert (len(batches), len(set(drawn(batches, 0)))) == (6, 8)


def test_the_seed_decides() -> None:
    assert np.array_equal(plan(seed=1), plan(seed=1))


def test_another_seed_gives_other_batches() -> None:
    assert not np.array_equal(plan(seed=1), plan(seed=2))


def test_too_few_rows_say_what_to_lower() -> None:
    with pytest.raises(DataError, match=r"20 training rows do not fill one batch of 21; lower training\.batch_size"):
        plan(per_batch=(21, 2))


def test_too_few_tuples_say_what_to_lower() -> None:
    with pytest.raises(DataError, match="5 tuples do not fill their 6 rows of a batch; lower `rows` of the part"):
        plan(per_batch=(4, 6))


def planned(steps: int, *rows: int) -> NDArray[np.int64]:
    """A plan of `steps` batches with so many rows of each part, each with a number of its own."""
    parts = np.repeat(np.arange(len(rows)), rows)
    numbers = np.arange(steps * len(parts)).reshape(steps, -1)
    return np.stack([np.broadcast_to(parts, numbers.shape), numbers], axis=-1)


def test_shares_of_a_batch_are_the_planned_batch() -> None:
    plan = planned(3, 4, 2)
    shares = shared_out(plan, 2).reshape(3, 6, 2)
    assert [sorted(batch.tolist()) for batch in shares] == [sorted(batch.tolist()) for batch in plan]


def test_every_process_gets_as_many_rows_of_every_part() -> None:
    assert [share[:, 0].tolist() for share in shared_out(planned(1, 4, 2), 2)] == [[0, 0, 1]] * 2


def test_one_process_gets_the_plan_as_it_is() -> None:
    np.testing.assert_array_equal(shared_out(planned(3, 4, 2), 1), planned(3, 4, 2))


def test_rows_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be multiples of the 2 processes"):
        shared_out(planned(1, 5, 3), 2)
