"""Grants as JSON."""

from __future__ import annotations

from factstore.core.model.grant import Grant
from factstore.core.model.value import encode


def grant_document(grant: Grant) -> dict[str, object]:
    """Return a grant without its secret."""
    return {
        "id": grant.id,
        "role": grant.role,
        "member": grant.member,
        "group": grant.group,
        "ttl": grant.ttl,
        "revision": grant.revision,
        "created_at": grant.created_at,
        "created_by": grant.created_by,
        "expires_at": grant.expires_at,
    }


def grant_text(grant: Grant) -> str:
    """Return a grant as JSON, without its secret."""
    return encode(grant_document(grant))


def issued_grant_text(grant: Grant, secret: str) -> str:
    """Return a new grant as JSON, with its secret."""
    token = f"{grant.id}.{secret}"
    return encode({**grant_document(grant), "secret": secret, "token": token})
