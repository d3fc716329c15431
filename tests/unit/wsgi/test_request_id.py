"""Log lines contain the ids of the request that is being served, if there is one."""

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


class LogCapture(logging.Handler):
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
def captured() -> Iterator[LogCapture]:
    """The lines that are logged, in the service's format."""
    handler, root, factory = LogCapture(), logging.getLogger(), logging.getLogRecordFactory()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.setLogRecordFactory(logs.OneLine)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


def logging_application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """An application that identifies its caller, and logs before and during its response."""
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
    """Serve a request as a server does; return its status, headers and body."""
    started: list[Any] = []
    answer: Any = RequestId(app, **more)(
        environ or {}, lambda *arguments: started.extend(arguments)
    )
    try:
        body = b"".join(answer)
    finally:
        answer.close()
    return started[0], dict(started[1]), body


def test_every_line_until_the_end_of_the_response_contains_the_ids(captured: LogCapture) -> None:
    _, headers, body = serve(logging_application, {"HTTP_X_OPENSTACK_REQUEST_ID": GLOBAL})
    assert body == b"ab"
    own = headers["X-Openstack-Request-Id"]
    assert len(captured.lines) == 2
    for line, context in zip(captured.lines, captured.contexts, strict=True):
        assert f"[{GLOBAL} {own} the-user the-project - - - -]" in line
        assert (context["request_id"], context["global_request_id"]) == (own, GLOBAL)
        assert (context["user_id"], context["roles"]) == ("the-user", ["member"])


def test_a_line_after_the_response_contains_no_ids_and_the_next_request_has_its_own(
    captured: LogCapture,
) -> None:
    _, first, _ = serve(logging_application, {"HTTP_X_OPENSTACK_REQUEST_ID": GLOBAL})
    LOG.info("between two requests of one connection")
    assert "[-]" in captured.lines[-1]
    assert captured.contexts[-1] == {}
    _, second, _ = serve(lambda environ, start: [LOG.info("new"), start("200 OK", [])][:0])
    assert second["X-Openstack-Request-Id"] in captured.lines[-1]
    assert "the-user" not in captured.lines[-1]
    assert GLOBAL not in captured.lines[-1]
    assert first["X-Openstack-Request-Id"] not in captured.lines[-1]


def test_lines_of_other_threads_do_not_contain_the_ids(captured: LogCapture) -> None:
    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        other = threading.Thread(target=lambda: LOG.info("elsewhere"))
        other.start()
        other.join()
        return []

    serve(app)
    (line,) = captured.lines
    assert "[-]" in line


def test_an_answer_that_breaks_off_is_logged_with_its_id(captured: LogCapture) -> None:
    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        serve(app)
    (line,) = captured.lines
    assert "req-" in line.splitlines()[0]
    assert "ZeroDivisionError" in line


def test_an_error_in_front_of_the_application_is_answered_and_logged_with_its_id(
    captured: LogCapture,
) -> None:
    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise ZeroDivisionError("the secret cause")

    status, headers, body = serve(app)
    assert status == "500 Internal Server Error"
    entry = json.loads(body)["errors"][0]
    assert entry["code"] == "contextualization.internal_error"
    assert entry["request_id"] == headers["X-Openstack-Request-Id"]
    assert b"secret" not in body
    (line,) = captured.lines
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
    captured: LogCapture, environ: Environ, path: str
) -> None:
    serve(logging_application, {"REQUEST_METHOD": "GET", **environ}, access_log=True)
    *_, line = captured.lines
    assert "the-user" in line
    assert re.search(rf"\] GET {re.escape(path)} 200 \d+\.\d{{3}} s$", line)
    assert "secret" not in line


def test_requests_are_not_logged_unless_configured(captured: LogCapture) -> None:
    serve(lambda environ, start: [start("200 OK", [])][:0])
    assert not captured.lines


@pytest.mark.parametrize(
    "forged", ["a\r\n2026-01-01 INFO forged", "\x1b[2J", "a\u2028b", "a\x85b", "\x9b31m", "a\x00b"]
)
def test_a_message_cannot_start_a_second_line_or_move_the_cursor(
    captured: LogCapture, forged: str
) -> None:
    LOG.info("a caller said %s", forged)
    (line,) = captured.lines
    assert line.isprintable()
    assert "\\" in line


def test_a_logged_traceback_cannot_start_a_line_of_its_own_or_move_the_cursor(
    captured: LogCapture,
) -> None:
    try:
        raise OSError("a\n2026-01-01 INFO forged \x1b[2J")
    except OSError:
        LOG.warning("first")
        LOG.exception("second")
    first, second = captured.lines
    assert first.isprintable()
    summary, *trace = second.splitlines()
    assert summary.isprintable()
    for line in trace:
        assert line.isprintable()
        assert " ERROR tests.requestid " in line  # each line of a traceback has the prefix


def test_words_in_any_script_are_logged_unchanged(captured: LogCapture) -> None:
    LOG.info("a caller said %s", "grüße, 你好")
    assert captured.lines[0].endswith("grüße, 你好")
