"""The number of requests that a server serves at once, and how many of them may wait."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from factstore.wsgi.concurrency import blocking, slots_of

THREADS = {"wsgi.multithread": True}


@pytest.mark.parametrize(
    ("slots", "waiting"), [(1, 0), (2, 1), (4, 3), (8, 6), (64, 48), (20000, 15000)]
)
def test_a_quarter_and_at_least_one_is_never_occupied_by_requests_that_wait(
    slots: int, waiting: int
) -> None:
    assert blocking(slots) == waiting


@pytest.mark.parametrize(
    ("module", "reported"),
    [
        ("uwsgi", SimpleNamespace(opt={"threads": b"8"})),
        ("uwsgi", SimpleNamespace(opt={"gevent": b"8"})),
        ("uwsgi", SimpleNamespace(opt={"async": "8"})),
        ("mod_wsgi", SimpleNamespace(threads_per_process=8)),
    ],
)
def test_uwsgi_and_mod_wsgi_report_their_threads(
    monkeypatch: pytest.MonkeyPatch, module: str, reported: Any
) -> None:
    monkeypatch.setitem(sys.modules, module, reported)
    environ = {**THREADS, "mod_wsgi.version": (5, 0)} if module == "mod_wsgi" else THREADS
    assert slots_of(environ, 0) == 8
    assert slots_of(environ, 4) == 4


def test_under_uwsgi_without_threads_no_request_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(opt={"processes": b"4"}))
    assert slots_of({"wsgi.multithread": False}, 0) == 1


@pytest.mark.parametrize(
    ("environ", "advice"),
    [(THREADS, "until [api] threads is set"), ({"wsgi.multithread": False}, "Run factstore-api")],
)
def test_a_server_that_heartbeats_would_wait_for_is_reported_and_serves_no_request_that_waits(
    caplog: pytest.LogCaptureFixture, environ: dict[str, Any], advice: str
) -> None:
    assert blocking(slots_of(environ, 0)) == 0
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert advice in record.getMessage()


def test_the_operator_states_the_threads_of_other_servers() -> None:
    assert slots_of(THREADS, 12) == 12
