"""Requests that do not arrive in time."""

from __future__ import annotations

from gunicorn.http.errors import ParseException


class RequestTimeout(ParseException):
    """A header did not arrive in time."""


class BodyTimeout(TimeoutError):
    """A body did not arrive in time."""
