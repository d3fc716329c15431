"""Grants of a stack: issued, shown, renewed, revoked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from factstore.client import urls
from factstore.client.errors import NotFound
from factstore.client.transport import Transport, parsed


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """A grant.

    :param role: ``agent`` or ``reader``.
    :param member: as whom its holder takes part; *group* is the only one that it may join.  An agent's
        without a member is its group's.
    :param ttl: seconds from issuing, or renewing, to the end.
    :param expires_at: ISO 8601, in UTC.
    :param token: what its holder says, ``<id>.<secret>``; known only to who issued it.
    """

    id: str
    role: str
    member: str | None
    group: str | None
    ttl: int
    created_at: str
    created_by: str
    expires_at: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """The grant that a document describes; what is not known here is passed over."""
        return cls(
            id=document["id"],
            role=document["role"],
            member=document["member"],
            group=document["group"],
            ttl=document["ttl"],
            created_at=document["created_at"],
            created_by=document["created_by"],
            expires_at=document["expires_at"],
            token=document.get("token"),
        )


class Grant:
    """A grant's id in a stack, and what can be done with it, by its holder too."""

    def __init__(self, stack_url: str, identifier: str, transport: Transport) -> None:
        self.id = identifier
        self._url = urls.item_url(stack_url, "grants", identifier)
        self._transport = transport

    def show(self) -> GrantRecord:
        """How it stands, without its token.

        :raises NotFound: there is none, or it has expired.
        """
        return parsed(self._transport.send("GET", self._url), GrantRecord.parse)

    def renew(self, *, ttl: int | None = None) -> GrantRecord:
        """Let it hold longer, from now on.

        :param ttl: seconds; None for as long as so far.  Its holder may not ask for more than that.
        :raises NotFound: there is none, or it has expired.
        """
        body = {} if ttl is None else {"ttl": ttl}
        sent = self._transport.send("POST", f"{self._url}/renew", body=body)
        return parsed(sent, GrantRecord.parse)

    def revoke(self) -> None:
        """End it, and all that were issued with it; that it is gone already is no error."""
        try:
            self._transport.send("DELETE", self._url)
        except NotFound:
            return
