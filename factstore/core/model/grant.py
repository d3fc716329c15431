"""Grants: capabilities for instances that have no Keystone user.

A grant with a group and no member is a group's grant.  Instances use it to request grants of their
own, which are valid only while the group's grant is.
"""

from __future__ import annotations

import hashlib
import hmac

from factstore.core.errors import Invalid
from factstore.core.model.path import check_name
from factstore.core.model.permissions import GRANT_ROLES, GrantRole, Permissions
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

GRANT_TTL_MIN = 60  # seconds
GRANT_TTL_MAX = 366 * 24 * 3600
GRANT_TTL_DEFAULT = 7 * 24 * 3600
GRANT_ID_PATTERN = r"[0-9a-f]{32}-[0-9a-f]{16}"


@quick_dataclass(frozen=True, slots=True)
class Grant(Record):
    """A credential for one stack.

    :param id: the id of the stack, ``-``, and a random number, so that the id leads to the stack.
    :param digest: the SHA-256 of the secret in hex.  The secret has 192 random bits, so a slow hash
        would not protect it better.
    :param ttl: seconds of validity after the grant is issued or renewed.
    :param expires_at: the instant of expiry; the lease removes the record a little later.
    :param parent: the id of the group's grant that it was issued from, which must be valid too; empty
        for none.
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

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Grant, self.id)

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        return len(self.id) + len(self.digest) + len(self.member or "") + len(self.group or "")

    @property
    def permissions(self) -> Permissions:
        """The permissions of the grant's holder."""
        return Permissions(self.role, self.member, self.group, self.id)

    def accepts(self, secret: str) -> bool:
        """Return True if a secret is this grant's; the comparison takes constant time."""
        return hmac.compare_digest(self.digest, digest_of(secret))


@quick_dataclass(frozen=True, slots=True)
class IssuedGrant:
    """A grant and its secret, which is not stored."""

    grant: Grant
    secret: str


@quick_dataclass(frozen=True, slots=True)
class GrantRequest:
    """A request for a grant.  Create it with :meth:`of`, which checks the limits.

    :param ttl: seconds; None for the default.
    """

    role: GrantRole
    member: str | None
    group: str | None
    ttl: int | None

    @classmethod
    def of(
        cls, role: GrantRole, member: str | None, group: str | None, ttl: int | None = None
    ) -> GrantRequest:
        """Return a checked request.

        :raises Invalid: ``schema``, ``path_invalid`` or ``ttl_invalid``.
        """
        if role not in GRANT_ROLES:
            raise Invalid(f"Field 'role' must be one of {', '.join(GRANT_ROLES)}.", code="schema")
        if role == "agent" and member is None and group is None:
            raise Invalid(
                "A grant for an agent needs a member or a group; name the member, or the group whose "
                "members request their grants with it.",
                code="schema",
                extra={"field": "member"},
            )
        if role == "reader" and group is not None and member is None:
            raise Invalid(
                "A reader's grant has a group but no member; name the member that is in the group.",
                code="schema",
                extra={"field": "group"},
            )
        for name, what in ((member, "member"), (group, "group")):
            if name is not None:
                check_name(name, what)
        return cls(role, member, group, checked_ttl(ttl))


def checked_ttl(ttl: int | None) -> int | None:
    """Return *ttl* unchanged if it is valid: seconds, or None for the default.

    :raises Invalid: ``ttl_invalid``.
    """
    if ttl is not None and (type(ttl) is not int or not GRANT_TTL_MIN <= ttl <= GRANT_TTL_MAX):
        raise Invalid(
            "The ttl of a grant must be a whole number of seconds from "
            f"{GRANT_TTL_MIN} to {GRANT_TTL_MAX}.",
            code="ttl_invalid",
        )
    return ttl


def digest_of(secret: str) -> str:
    """Return the stored digest of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
