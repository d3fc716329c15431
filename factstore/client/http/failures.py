"""The ways in which an exchange of a request and a response fails."""

from __future__ import annotations


class HttpFailure(Exception):
    """There is no whole response.  The text is a sentence about the cause."""


class NotSent(HttpFailure):
    """The request was not sent."""


class Untrusted(NotSent):
    """The server or the certificates to verify it with cannot be trusted."""


class ResponseLost(HttpFailure):
    """The request was sent at least in part, and no whole response was received."""
