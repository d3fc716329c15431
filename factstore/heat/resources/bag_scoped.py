"""What stands inside a data bag, and may keep a grant: the part that those resources share."""

from __future__ import annotations

import shlex
from typing import Any

from heat.engine import constraints, properties

from factstore.client import Stack, errors
from factstore.heat.resources.base import FactstoreResource

NAME_PATTERN = "[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}"
YEAR = 365 * 24 * 3600  # seconds: user data tells a grant once, and an instance may sleep for long

_GRANT, _TOKEN = "grant", "grant_token"


def bag_schema() -> properties.Schema:
    """The property ``bag``."""
    return properties.Schema(
        properties.Schema.STRING,
        "The data bag, or the name of a stack in factstore.",
        required=True,
        constraints=[constraints.CustomConstraint("factstore.stack")],
    )


def named(what: str) -> constraints.AllowedPattern:
    """The form of a member's, a group's or a waiter's name."""
    return constraints.AllowedPattern(
        NAME_PATTERN,
        description=f"{what} is 1 to 128 characters: it begins with a letter, a digit or '_', and goes "
        "on with letters, digits and '_.:@-'.",
    )


class InsideBag(FactstoreResource):
    """A resource with a property ``bag``.

    A grant that it keeps is in its resource data, the secret encrypted, and nowhere else.
    """

    BAG = "bag"

    @property
    def bag(self) -> Stack:
        """The data bag in factstore."""
        return self.factstore.stack(self.properties[self.BAG])

    @property
    def bag_url(self) -> str:
        """Where instances find it."""
        url: str = self.client_plugin().public_url(self.properties[self.BAG])
        return url

    @property
    def token(self) -> str | None:
        """What the holder of the grant that is kept says."""
        token: str | None = self.data().get(_TOKEN)
        return token

    def issue(self, **wanted: Any) -> str:
        """Issue a grant, keep it, and return its id; see :meth:`factstore.client.Stack.issue_grant`."""
        record = self.bag.issue_grant(**wanted)
        self.data_set(_GRANT, record.id)
        self.data_set(_TOKEN, record.token, redact=True)
        return record.id

    def renew(self, ttl: int) -> bool:
        """Let the grant that is kept hold for *ttl* seconds from now; whether there still is one."""
        grant = self.data().get(_GRANT)
        try:
            return bool(grant and self.bag.grant(grant).renew(ttl=ttl))
        except errors.NotFound:
            return False

    def revoke(self) -> None:
        """End the grant that is kept, if there is one."""
        grant = self.data().get(_GRANT)
        if grant is not None:
            self.bag.grant(grant).revoke()
            self.data_delete(_TOKEN)
            self.data_delete(_GRANT)


def curl(url: str, token: str, *options: str) -> str:
    """A line of shell that holds a grant, and asks again where a network or a service is not there yet.

    The grant is sent as user and password: those curl hides from the list of processes.
    """
    again = ["--retry", "10", "--retry-all-errors"]
    return shlex.join(
        ["curl", "-sS", "-f", *again, "-u", token.replace(".", ":", 1), *options, url]
    )
