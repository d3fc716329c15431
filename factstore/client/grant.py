"""The grants of a stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from factstore.client import urls
from factstore.client.errors import NotFound
from factstore.client.transport import Transport, parsed

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class GrantRecord:
    """A grant.

    :param role: ``agent`` or ``reader``.
    :param member: the member that the holder acts as; *group* is the only group that it may join.
        An agent's grant without a member is a group's grant.
    :param ttl: seconds from issuing or renewing the grant until it expires.
    :param expires_at: ISO 8601, in UTC.
    :param remaining: seconds from the response until the expiry, by the clock of the service; None if
        the response does not have its time.
    :param answered_at: seconds since the epoch at the response, by the clock of the service, or None.
    :param token: the credential of the holder, ``<id>.<secret>``; only in the response to issuing.
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
    remaining: float | None = None
    answered_at: float | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the grant in a document.  Unknown fields are ignored."""
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
    """Operations on one grant, for owners of the stack and for the holder of the grant."""

    def __init__(self, stack_url: str, identifier: str, transport: Transport) -> None:
        self.id = identifier
        self._url = urls.item_url(stack_url, "grants", identifier)
        self._transport = transport

    def show(self) -> GrantRecord:
        """Return the grant, without its token.

        :raises NotFound: the grant does not exist or has expired.
        """
        response = self._transport.send("GET", self._url)
        return _with_remaining(parsed(response, GrantRecord.parse), response.headers.get("Date"))

    def renew(self, *, ttl: int | None = None) -> GrantRecord:
        """Extend the grant from now on, and return it.

        :param ttl: seconds; None for the current value.  The holder cannot request more than that.
        :raises NotFound: the grant does not exist or has expired.
        """
        body = {} if ttl is None else {"ttl": ttl}
        response = self._transport.send("POST", f"{self._url}/renew", body=body)
        return parsed(response, GrantRecord.parse)

    def revoke(self) -> None:
        """Revoke the grant and all grants issued from it.  It may already be revoked."""
        try:
            self._transport.send("DELETE", self._url)
        except NotFound:
            return


def _with_remaining(grant: GrantRecord, date: str | None) -> GrantRecord:
    """Return a grant with the seconds from a Date header until its expiry."""
    try:
        now = parsedate_to_datetime(date or "").timestamp()
        expiry = datetime.fromisoformat(grant.expires_at.replace("Z", "+00:00")).timestamp()
    except (ValueError, TypeError, IndexError):  # which of them depends on the version of Python
        return grant
    return replace(grant, remaining=expiry - now, answered_at=now)
