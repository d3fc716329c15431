"""Logging, and the request's context in each log line.

A message is always one line, even if it contains text from a caller.  Callers are identified by ids and
roles, never by a name, a token or a password.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from typing import Any

from oslo_config import cfg
from oslo_context import context
from oslo_context.context import RequestContext
from oslo_log import log
from oslo_log.formatters import ContextFormatter

_QUIET = ["keystonemiddleware=INFO", "keystoneauth=INFO", "oslo_policy=INFO", "urllib3=WARN"]
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class LogContext(RequestContext):
    """The request of the current greenlet or thread, as oslo.log's formatters print it.

    oslo.context's own class has thirty attributes, the token among them, which an open stream would
    keep in memory for hours.
    """

    def __init__(self, request_id: str, global_request_id: str | None) -> None:
        self.request_id = request_id
        self.global_request_id = global_request_id
        self.user_id: str | None = None
        self.project_id: str | None = None
        self.roles: list[str] = []
        self._ended = False
        self.update_store()

    def end(self) -> None:
        """Log nothing about the request from now on, even if this context is still current."""
        self._ended = True

    def get_logging_values(self) -> dict[str, Any]:
        """Return the values that format strings of oslo.log's options can use."""
        if self._ended:
            return {}
        return {
            "request_id": self.request_id,
            "global_request_id": self.global_request_id or "-",
            "user": self.user_id,
            "user_id": self.user_id,
            "project": self.project_id,
            "project_id": self.project_id,
            "roles": self.roles,
            "user_identity": f"{self.user_id or '-'} {self.project_id or '-'}",
        }


def set_caller(user_id: str, project_id: str, roles: tuple[str, ...]) -> None:
    """Add the caller to the log context of the current request."""
    current = context.get_current()
    if isinstance(current, LogContext):
        current.user_id, current.project_id, current.roles = user_id, project_id, list(roles)


class OneLine(logging.LogRecord):
    """A record whose message is one line without control characters, for any formatter."""

    def getMessage(self) -> str:  # noqa: N802 - the standard library's name
        return _one_line(super().getMessage())


class OneLineFormatter(ContextFormatter):
    """oslo.log's formatter, which appends a summary of an exception to the message, on the same line.

    A traceback has more lines, each with its own prefix.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return _one_line(super().formatMessage(record))

    # oslo.log passes the record by position before 8.0, and by name since then.
    def formatException(self, ei: Any, record: logging.LogRecord | None = None) -> str:  # noqa: N802
        text: str = super().formatException(ei, record=record)
        return "\n".join(_one_line(line) for line in text.split("\n"))


def _one_line(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub(_escaped, text)


def _escaped(character: re.Match[str]) -> str:
    return character.group().encode("unicode_escape").decode("ascii")


def register(conf: cfg.ConfigOpts) -> None:
    """Register oslo.log's options."""
    log.register_options(conf)


def set_up(conf: cfg.ConfigOpts) -> None:
    """Set up logging as configured, without the DEBUG messages of libraries that log credentials.

    :raises oslo_config.cfg.Error: the journal cannot be used, or an option is not valid.
    :raises OSError: the file of the log cannot be written.
    """
    if conf.use_journal and importlib.util.find_spec("systemd") is None:
        raise cfg.ConfigFileValueError(
            "use_journal needs systemd's module for Python. Install python3-systemd or systemd-python, "
            "or remove the option: systemd also stores the standard output in the journal."
        )
    logging.setLogRecordFactory(OneLine)
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), *_QUIET])
    try:
        log.setup(conf, "factstore")
    except (log.LogConfigError, LookupError, TypeError, ValueError) as error:
        raise cfg.ConfigFileValueError(f"the log cannot be set up: {error}") from error
    for handler in logging.getLogger().handlers:
        if type(handler.formatter) is ContextFormatter:
            formatter = OneLineFormatter(datefmt=handler.formatter.datefmt, config=conf)
            handler.setFormatter(formatter)
