"""Requests that do not arrive in time, and connections that are closed before one arrives."""

from __future__ import annotations

from gunicorn.http.errors import ParseException


class RequestTimeout(ParseException):
    """A header did not arrive in time."""


class BodyTimeout(TimeoutError):
    """A body did not arrive in time."""


class IdleClosed(BaseException):
    """The worker closes its idle connections."""
