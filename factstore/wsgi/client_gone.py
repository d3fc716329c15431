"""The end of a request that nobody waits for any more."""

from __future__ import annotations


class ClientGone(BaseException):
    """The client has closed its connection while its request waited; nobody reads a response.

    It is no Exception, because no layer in between has an answer to it.
    """
