"""The base class of resources inside a data bag, which may hold a grant."""

from __future__ import annotations

import shlex
from typing import Any

from heat.engine import constraints, properties

from factstore.client import Stack, errors
from factstore.heat.resources.base import FactstoreResource

NAME_PATTERN = "[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}"
# Seconds. User data hands a grant out once, and an instance may be off for long.
YEAR = 365 * 24 * 3600

_GRANT, _TOKEN = "grant", "grant_token"


def bag_schema() -> properties.Schema:
    """Return the schema of the property ``bag``."""
    return properties.Schema(
        properties.Schema.STRING,
        "The data bag, or the name of a stack in factstore.",
        required=True,
        constraints=[constraints.CustomConstraint("factstore.stack")],
    )


def name_constraint(noun: str) -> constraints.AllowedPattern:
    """Return the constraint on the name of a member, a group or a waiter."""
    return constraints.AllowedPattern(
        NAME_PATTERN,
        description=f"{noun} has 1 to 128 characters: letters, digits and '_.:@-'. The first is a "
        "letter, a digit or '_'.",
    )


class BagScoped(FactstoreResource):
    """A resource with a property ``bag``.

    If it holds a grant, the grant is stored in its resource data alone, with the secret encrypted.
    """

    BAG = "bag"

    @property
    def bag(self) -> Stack:
        """The data bag in factstore."""
        return self.factstore.stack(self.properties[self.BAG])

    @property
    def bag_url(self) -> str:
        """The public URL of the data bag."""
        url: str = self.client_plugin().public_url(self.properties[self.BAG])
        return url

    @property
    def token(self) -> str | None:
        """The token of the grant, or None if the resource holds none."""
        token: str | None = self.data().get(_TOKEN)
        return token

    def issue(self, **fields: Any) -> str:
        """Issue a grant, store it, and return its id.

        :param fields: the arguments of :meth:`factstore.client.Stack.issue_grant`.
        """
        record = self.bag.issue_grant(**fields)
        self.data_set(_GRANT, record.id)
        self.data_set(_TOKEN, record.token, redact=True)
        self.forget_handed_out()
        return record.id

    def renew(self, ttl: int) -> bool:
        """Extend the grant to *ttl* seconds from now; return False if there is no valid grant."""
        grant = self.data().get(_GRANT)
        try:
            return bool(grant and self.bag.grant(grant).renew(ttl=ttl))
        except errors.NotFound:
            return False

    def revoke(self) -> None:
        """Revoke the grant, if the resource holds one."""
        grant = self.data().get(_GRANT)
        if grant is not None:
            self.bag.grant(grant).revoke()
            self.data_delete(_TOKEN)
            self.data_delete(_GRANT)
            self.forget_handed_out()


def curl(url: str, token: str, *options: str) -> str:
    """Return a shell command that sends a request with a grant, and retries when it cannot connect.

    The grant is sent as user and password, because curl hides those from the list of processes.
    """
    retries = ["--retry", "10", "--retry-all-errors"]
    return shlex.join(
        ["curl", "-sS", "-f", *retries, "-u", token.replace(".", ":", 1), *options, url]
    )
