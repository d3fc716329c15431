"""A batcher of writes whose loop is turned by the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from factstore.store.commit_batcher import CommitBatcher
from tests.unit.store.batches import Clock, Loop, Written, fence


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def batcher(loop: Loop, written: Written) -> Iterator[CommitBatcher]:
    made = CommitBatcher(written.transact_all, fence(), Clock(), threading.Event, loop)
    made.start()
    yield made
    loop.open = False
    made.stop()
    assert not made._thread.is_alive()  # type: ignore[union-attr]
