"""The request that log lines name, and log lines outside requests."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from oslo_config import cfg
from oslo_log import log
from oslo_log.formatters import JSONFormatter

from factstore.wsgi.middleware.request_id import RequestId
from factstore.wsgi.ops import logs

LOG = logging.getLogger("tests.requestid")
GLOBAL = "req-01234567-0123-0123-0123-0123456789ab"

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Kept(logging.Handler):
    """Formats each record at once, as a real handler does."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        conf = cfg.ConfigOpts()
        log.register_options(conf)
        conf([], default_config_files=[])
        self._plain = logs.OneLineFormatter(config=conf)
        self._json = JSONFormatter()
        self.lines: list[str] = []
        self.contexts: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.contexts.append(json.loads(self._json.format(record))["context"])
        self.lines.append(self._plain.format(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    """The lines that the service logs."""
    handler, root, factory = Kept(), logging.getLogger(), logging.getLogRecordFactory()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.setLogRecordFactory(logs.OneLine)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


def saying(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """An application that knows its caller, and logs before and within its answer."""
    logs.set_caller("the-user", "the-project", ("member",))
    LOG.info("first")
    start_response("200 OK", [])

    def body() -> Iterator[bytes]:
        yield b"a"
        LOG.info("second")
        yield b"b"

    return body()


def serve(
    app: App, environ: Environ | None = None, **more: bool
) -> tuple[str, dict[str, str], Any]:
    """Status, headers and body, read and closed as a server does."""
    told: list[Any] = []
    answer: Any = RequestId(app, **more)(environ or {}, lambda *said: told.extend(said))
    try:
        body = b"".join(answer)
    finally:
        answer.close()
    return told[0], dict(told[1]), body


def test_every_line_until_the_end_of_the_answer_carries_the_ids(kept: Kept) -> None:
    _, headers, body = serve(saying, {"HTTP_X_OPENSTACK_REQUEST_ID": GLOBAL})
    assert body == b"ab"
    own = headers["X-Openstack-Request-Id"]
    assert len(kept.lines) == 2
    for line, context in zip(kept.lines, kept.contexts, strict=True):
        assert f"[{GLOBAL} {own} the-user the-project - - - -]" in line
        assert (context["request_id"], context["global_request_id"]) == (own, GLOBAL)
        assert (context["user_id"], context["roles"]) == ("the-user", ["member"])


def test_the_line_after_it_carries_none_and_the_next_request_its_own(kept: Kept) -> None:
    _, first, _ = serve(saying, {"HTTP_X_OPENSTACK_REQUEST_ID": GLOBAL})
    LOG.info("between two requests of one connection")
    assert "[-]" in kept.lines[-1]
    assert kept.contexts[-1] == {}
    _, second, _ = serve(lambda environ, start: [LOG.info("new"), start("200 OK", [])][:0])
    assert second["X-Openstack-Request-Id"] in kept.lines[-1]
    assert "the-user" not in kept.lines[-1]
    assert GLOBAL not in kept.lines[-1]
    assert first["X-Openstack-Request-Id"] not in kept.lines[-1]


def test_other_threads_have_nothing_to_do_with_it(kept: Kept) -> None:
    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        other = threading.Thread(target=lambda: LOG.info("elsewhere"))
        other.start()
        other.join()
        return []

    serve(app)
    (line,) = kept.lines
    assert "[-]" in line


def test_an_answer_that_breaks_off_is_logged_with_its_id(kept: Kept) -> None:
    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        serve(app)
    (line,) = kept.lines
    assert "req-" in line.splitlines()[0]
    assert "ZeroDivisionError" in line


def test_an_error_in_front_of_the_application_is_answered_and_logged_with_its_id(
    kept: Kept,
) -> None:
    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise ZeroDivisionError("the secret cause")

    status, headers, body = serve(app)
    assert status == "500 Internal Server Error"
    entry = json.loads(body)["errors"][0]
    assert entry["code"] == "contextualization.internal_error"
    assert entry["request_id"] == headers["X-Openstack-Request-Id"]
    assert b"secret" not in body
    (line,) = kept.lines
    assert entry["request_id"] in line.splitlines()[0]
    assert "Traceback" in line


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"RAW_URI": "/v1/a%2Fb//c?token=secret"}, "/v1/a%2Fb//c"),
        (
            {"PATH_INFO": "/v1/a b\r\n\x1b[m\xe9", "QUERY_STRING": "x=secret"},
            "/v1/a%20b%0D%0A%1B%5Bm%E9",
        ),
        ({"RAW_URI": "http://id:secret@host/v1", "PATH_INFO": "/v1"}, "/v1"),
    ],
)
def test_the_access_log_has_a_line_for_each_request_without_its_query(
    kept: Kept, environ: Environ, path: str
) -> None:
    serve(saying, {"REQUEST_METHOD": "GET", **environ}, access_log=True)
    *_, line = kept.lines
    assert "the-user" in line
    assert re.search(rf"\] GET {re.escape(path)} 200 \d+\.\d{{3}} s$", line)
    assert "secret" not in line


def test_nothing_is_logged_about_a_request_unless_it_is_wanted(kept: Kept) -> None:
    serve(lambda environ, start: [start("200 OK", [])][:0])
    assert not kept.lines


@pytest.mark.parametrize(
    "forged", ["a\r\n2026-01-01 INFO forged", "\x1b[2J", "a\u2028b", "a\x85b", "\x9b31m", "a\x00b"]
)
def test_nothing_that_is_logged_makes_a_second_line_or_moves_the_cursor(
    kept: Kept, forged: str
) -> None:
    LOG.info("a caller said %s", forged)
    (line,) = kept.lines
    assert line.isprintable()
    assert "\\" in line


def test_nor_does_the_error_that_is_logged_with_it(kept: Kept) -> None:
    try:
        raise OSError("a\n2026-01-01 INFO forged \x1b[2J")
    except OSError:
        LOG.warning("first")
        LOG.exception("second")
    first, second = kept.lines
    assert first.isprintable()
    summary, *trace = second.splitlines()
    assert summary.isprintable()
    for line in trace:
        assert line.isprintable()
        assert " ERROR tests.requestid " in line  # whatever it says: it is part of a traceback


def test_words_in_any_script_stay_as_they_are(kept: Kept) -> None:
    LOG.info("a caller said %s", "grüße, 你好")
    assert kept.lines[0].endswith("grüße, 你好")
