"""Errors of commands that end them with a status of their own."""

from __future__ import annotations

from osc_lib import exceptions


class UsageError(exceptions.CommandError):
    """A wrong command line that the parser of the arguments cannot notice.  The status is 2."""
