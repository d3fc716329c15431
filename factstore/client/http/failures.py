"""The ways in which an exchange of a request and a response fails."""

from __future__ import annotations


class HttpFailure(Exception):
    """There is no whole response.  The text is a sentence about the cause.

    :ivar is_permanent: True if the request fails again until a setting or a certificate is changed.
    """

    is_permanent = False


class NotSent(HttpFailure):
    """The request was not sent."""


class Unusable(NotSent):
    """The settings, such as the URL of the service or a proxy, cannot be used for any request."""

    is_permanent = True


class Untrusted(NotSent):
    """The server or the certificates to verify it with cannot be trusted."""

    is_permanent = True


class ResponseLost(HttpFailure):
    """The request was sent at least in part, and no whole response was received."""
