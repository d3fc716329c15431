"""Grants: capabilities for instances that have no Keystone user.

A grant with a group and no member is the group's: with it an instance gets one of its own, which holds
only as long as the group's does.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from factstore.core.errors import Invalid
from factstore.core.model.path import check_name
from factstore.core.model.permissions import GRANT_ROLES, GrantRole, Permissions
from factstore.core.model.record_key import RecordKey

GRANT_TTL_MIN = 60  # seconds
GRANT_TTL_MAX = 366 * 24 * 3600
GRANT_TTL_DEFAULT = 7 * 24 * 3600
GRANT_ID_PATTERN = r"[0-9a-f]{32}-[0-9a-f]{16}"


@dataclass(frozen=True, slots=True)
class Grant:
    """What lets its holder into one stack.

    :param id: the stack's own id, ``-``, and a random number, so that whoever knows it knows where to
        look it up.
    :param digest: SHA-256 of the secret in hex.  The secret is 256 random bits: nobody guesses it, and
        a slow hash would protect it no better.
    :param ttl: seconds from issuing, or renewing, to the end.
    :param expires_at: when it ends; its lease removes it somewhat later.
    :param parent: the id of the group's grant that it was got with, without which it does not hold;
        empty for none.
    """

    id: str
    role: GrantRole
    member: str | None
    group: str | None
    digest: str
    ttl: int
    created_at: str
    created_by: str
    expires_at: str
    updated_by: str
    request_id: str
    parent: str = ""
    revision: int = 0
    lease: int = 0

    @property
    def record_key(self) -> RecordKey:
        """Where it lies in its stack."""
        return RecordKey("grant", self.id)

    @property
    def size(self) -> int:
        """How many bytes it counts."""
        return len(self.id) + len(self.digest) + len(self.member or "") + len(self.group or "")

    @property
    def permissions(self) -> Permissions:
        """What its holder may touch."""
        return Permissions(self.role, self.member, self.group, self.id)

    def accepts(self, secret: str) -> bool:
        """Whether a secret is this grant's, told in the same time for every wrong one."""
        return hmac.compare_digest(self.digest, digest_of(secret))


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """The wish for a grant.  Build it with :meth:`of`, which checks the limits.

    :param ttl: seconds; None for the usual.
    """

    role: GrantRole
    member: str | None
    group: str | None
    ttl: int | None

    @classmethod
    def of(
        cls, role: GrantRole, member: str | None, group: str | None, ttl: int | None = None
    ) -> GrantRequest:
        """A checked wish.

        :raises Invalid: ``schema``, ``path_invalid`` or ``ttl_invalid``.
        """
        if role not in GRANT_ROLES:
            raise Invalid(f"role must be one of {', '.join(GRANT_ROLES)}.", code="schema")
        if role == "agent" and member is None and group is None:
            raise Invalid(
                "a grant for an agent names its member, or the group whose members get theirs with it.",
                code="schema",
                extra={"field": "member"},
            )
        if role == "reader" and group is not None and member is None:
            raise Invalid(
                "group says which one a reader's member is in; name the member.",
                code="schema",
                extra={"field": "group"},
            )
        for name, what in ((member, "member"), (group, "group")):
            if name is not None:
                check_name(name, what)
        return cls(role, member, group, checked_ttl(ttl))


def checked_ttl(ttl: int | None) -> int | None:
    """How long a grant is to hold, in seconds; None for the usual.

    :raises Invalid: ``ttl_invalid``.
    """
    if ttl is not None and (type(ttl) is not int or not GRANT_TTL_MIN <= ttl <= GRANT_TTL_MAX):
        raise Invalid(
            "ttl of a grant must be a whole number of seconds from "
            f"{GRANT_TTL_MIN} to {GRANT_TTL_MAX}.",
            code="ttl_invalid",
        )
    return ttl


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
