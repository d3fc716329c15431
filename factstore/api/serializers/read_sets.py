"""Read sets as JSON."""

from __future__ import annotations

from factstore.core.model.read_set import ReadSet
from factstore.core.model.value import encode


def read_set_text(read_set: ReadSet) -> str:
    """Return a read set as JSON."""
    return encode(
        {
            "member": read_set.member,
            "digest": read_set.digest,
            "facts": list(read_set.facts),
            "members": list(read_set.members),
            "groups": list(read_set.groups),
            "updated_at": read_set.updated_at,
            "updated_by": read_set.updated_by,
        }
    )
