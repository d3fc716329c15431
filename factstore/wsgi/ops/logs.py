"""Logging, as the configuration says, and what each line says about its request.

A message is one line, whatever a caller put into it.  It knows of callers what identifies them: ids and
roles; never a name, a token or a password.
"""

from __future__ import annotations

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
    """What oslo.log's formatters print of the request that the present greenlet or thread serves.

    oslo.context's own keeps thirty attributes and a place for the token; a watcher would carry them
    for hours.
    """

    def __init__(self, request_id: str, global_request_id: str | None) -> None:
        self.request_id = request_id
        self.global_request_id = global_request_id
        self.user_id: str | None = None
        self.project_id: str | None = None
        self.roles: list[str] = []
        self._over = False
        self.update_store()

    def end(self) -> None:
        """The request is over: say nothing of it any more, whatever still finds this object."""
        self._over = True

    def get_logging_values(self) -> dict[str, Any]:
        """The values that the format strings of oslo.log's options may name."""
        if self._over:
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


def identify(user_id: str, project_id: str, roles: tuple[str, ...]) -> None:
    """Note who makes the request that is served here."""
    known = context.get_current()
    if isinstance(known, LogContext):
        known.user_id, known.project_id, known.roles = user_id, project_id, list(roles)


class OneLine(logging.LogRecord):
    """A record whose message is one line and moves no terminal's cursor, whoever formats it."""

    def getMessage(self) -> str:  # noqa: N802 - the standard library's name
        return _one_line(super().getMessage())


class OneLineFormatter(ContextFormatter):
    """oslo.log's, which puts a summary of an error behind the message: that stays one line too.

    A traceback has more, each with its own beginning.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return _one_line(super().formatMessage(record))

    def formatException(self, ei: Any, *, record: logging.LogRecord | None = None) -> str:  # noqa: N802
        text: str = super().formatException(ei, record=record)
        return "\n".join(_one_line(line) for line in text.split("\n"))


def _one_line(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub(_escaped, text)


def _escaped(character: re.Match[str]) -> str:
    return character.group().encode("unicode_escape").decode("ascii")


def register(conf: cfg.ConfigOpts) -> None:
    """Make oslo.log's options known."""
    log.register_options(conf)


def set_up(conf: cfg.ConfigOpts) -> None:
    """Log as configured; libraries that would log what they send at DEBUG stay quiet."""
    logging.setLogRecordFactory(OneLine)
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), *_QUIET])
    log.setup(conf, "factstore")
    for handler in logging.getLogger().handlers:
        if type(handler.formatter) is ContextFormatter:
            formatter = OneLineFormatter(datefmt=handler.formatter.datefmt, config=conf)
            handler.setFormatter(formatter)
