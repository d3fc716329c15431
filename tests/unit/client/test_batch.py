"""Steps are split into batches that the service accepts."""

from __future__ import annotations

from factstore.client import Delete, Guard, Put
from factstore.client.batch import BATCH_PARTS, split_batches


def test_steps_stay_in_order_and_a_batch_has_at_most_a_hundred_parts() -> None:
    steps = [(Delete(f"n{number}"),) for number in range(250)]
    batches = list(split_batches(steps))
    assert [len(batch) for batch in batches] == [BATCH_PARTS, BATCH_PARTS, 50]
    assert [step for batch in batches for step in batch] == steps


def test_an_operation_and_its_guard_stay_together() -> None:
    steps = [(Guard.absent(f"n{number}"), Put(f"n{number}", 1)) for number in range(60)]
    assert [len(batch) for batch in split_batches(steps)] == [50, 10]


def test_large_values_are_spread_over_batches_of_less_than_a_mebibyte() -> None:
    steps = [(Put(f"n{number}", "x" * 60_000),) for number in range(20)]
    assert [len(batch) for batch in split_batches(steps)] == [14, 6]


def test_a_step_that_is_too_large_is_a_batch_of_its_own() -> None:
    large = (Put("large", "x" * 2_000_000),)
    small = (Delete("small"),)
    assert list(split_batches([small, large, small])) == [[small], [large], [small]]


def test_no_steps_result_in_no_batch() -> None:
    assert list(split_batches([])) == []
