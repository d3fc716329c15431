"""Reads of the history in gevent's loop, while a worker that has just started still reads it."""

from __future__ import annotations

import pytest

from factstore.core.model.cursor import Cursor
from factstore.watch import history_fill
from factstore.wsgi.fast_path.stream_answer import StreamStart
from tests.contract.world import Worker, note_followed
from tests.eventually import eventually
from tests.raw_http import request_bytes
from tests.unit.wsgi.fast_requests import (
    FACT,
    JSON,
    OWNER,
    fast_path,
    read,
    running,
    status,
    stream_start,
)


def test_reads_of_a_past_that_is_still_being_read_are_left_to_greenlets(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(history_fill, "READY_SECONDS", 60.0)
    for value in (b"1", b"2"):
        raw = request_bytes("PUT", FACT, JSON, body=b'{"value":%b}' % value)
        fast_path(worker, OWNER).serve(read(raw), local=True)
    now = Cursor(worker.store.state().epoch, worker.store.state().revision)
    past = Cursor(now.epoch, now.revision - 1)
    eventually(lambda: worker.hub.cursor == now)
    note_followed(worker)
    late = Worker(worker.backend).start(fill=False)
    try:
        awaited = late.hub._past  # type: ignore[attr-defined]
        assert awaited is not None
        awaited.may_wait = lambda: False
        path = fast_path(late, OWNER)
        assert stream_start(path, f"?since={past}") is None
        found = running(path, request_bytes("GET", f"/v1/stacks/s/context?since={past}"))
        polled = running(path, request_bytes("GET", f"/v1/stacks/s/events?since={past}"))
        eventually(lambda: found and polled)
        assert callable(found[0])
        assert polled == [None]
        assert isinstance(stream_start(path, f"?since={now}"), StreamStart)
        awaited.may_wait = lambda: True
        late.pump.fill_history()
        assert status(found[0]) == 200
        assert caplog.messages == []
    finally:
        late.pump.stop()
        late.store.stop()
