"""The change that reports a deleted fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factstore.core.model.event import Change, ChangeType, DeletionAuthor
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member


def deletion_change(
    deleted: Fact, authors: Iterable[DeletionAuthor], members: Mapping[str, Member]
) -> Change:
    """Return the change of a deleted fact.

    Its author is one of *authors*, or the member that it was bound to; otherwise it expired.

    :param members: the stack's members by name, including departed ones.
    """
    by = request_id = None
    kind: ChangeType = "fact.expire"
    for author in authors:
        if deleted.path in author.paths:
            kind, by, request_id = "fact.delete", author.user_id, author.request_id
            break
    else:
        member = members.get(deleted.member or "")
        if member is not None and member.departed and member.lease == deleted.lease:
            by, request_id = member.updated_by, member.request_id
    return Change(kind, deleted.path, None, deleted, by, request_id)
