"""The costs of calls of the fast path, and their counts."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from factstore.core.services.rate_limit import (
    REQUEST_BYTES_A_UNIT,
    RESPONSE_BYTES_A_UNIT,
    Allowance,
    RateLimiter,
)
from factstore.wsgi.fast_path.accounting import CLIENT_GONE, Accounting
from factstore.wsgi.fast_path.call import Call
from tests.raw_http import request_bytes
from tests.unit.core.factories import ManualClock
from tests.unit.wsgi.fast_requests import FACT, JSON, OWNER, read

PROJECT = OWNER.project_id
ROUTES = {"facts": "/v1/facts", "heartbeat": "/v1/heartbeat"}


class Books:
    """An accounting with a burst of a hundred requests, on a clock that stands still."""

    def __init__(self) -> None:
        self.metrics = Mock()
        allowance = Allowance(requests_per_second=10, burst=100)
        self.limiter = RateLimiter(lambda project_id: allowance, ManualClock())
        self.accounting = Accounting(self.limiter, self.metrics, ROUTES)

    def left(self) -> int:
        """Return how many small requests can be charged until one is refused."""
        call, count = put(b"1"), 0
        while self.accounting.charge(call):
            count += 1
        for _ in range(count):
            self.accounting.cancel(call)
        return count

    @property
    def counted(self) -> list[tuple[Any, ...]]:
        return [each.args for each in self.metrics.observe.call_args_list]


@pytest.fixture
def books() -> Books:
    return Books()


def put(body: bytes) -> Call:
    request = read(request_bytes("PUT", FACT, JSON, body=body))
    return Call(request, OWNER, "req-1", 0.0, (PROJECT, False), None)


def answer(size: int, *, waited: bool = False) -> Any:
    return Mock(size=size, waited=waited, status=200)


def test_a_large_request_costs_as_much_as_several(books: Books) -> None:
    before = books.left()
    assert books.accounting.charge(put(b"x" * (2 * REQUEST_BYTES_A_UNIT)))
    assert books.left() == before - 3


def test_a_call_that_is_carried_out_in_another_way_costs_nothing(books: Books) -> None:
    before, call = books.left(), put(b"x" * (2 * REQUEST_BYTES_A_UNIT))
    assert books.accounting.charge(call)
    books.accounting.cancel(call)
    assert books.left() == before


def test_a_large_response_is_charged_and_every_call_is_counted_with_its_route(
    books: Books,
) -> None:
    before = books.left()
    for size in (0, 1, 2 * RESPONSE_BYTES_A_UNIT):
        books.accounting.count(put(b"1"), answer(size))
    assert books.left() == before - 2
    assert [row[:4] for row in books.counted] == [
        ("PUT", ROUTES["facts"], 200, size) for size in (0, 1, 2 * RESPONSE_BYTES_A_UNIT)
    ]
    assert all(row[4] is not None for row in books.counted)


def test_the_duration_of_a_call_that_waited_for_a_change_is_not_counted(books: Books) -> None:
    books.accounting.count(put(b"1"), answer(1, waited=True))
    assert books.counted == [("PUT", ROUTES["facts"], 200, 1, None)]


def test_a_call_whose_client_has_gone_is_counted_and_stays_charged(books: Books) -> None:
    before, call = books.left(), put(b"1")
    assert books.accounting.charge(call)
    books.accounting.count_gone(call)
    assert books.counted == [("PUT", ROUTES["facts"], CLIENT_GONE, 0, None)]
    assert books.left() == before - 1
