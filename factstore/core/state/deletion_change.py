"""The changes that report a deleted fact, and a deleted stack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from factstore.core.model.event import Change, ChangeType, DeletionAuthor, Mutation
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member

DeletionAuthors = Mapping[str, Sequence[DeletionAuthor]]
"""By the id of the stack; several if writes were batched."""


def deletion_authors(mutations: Iterable[Mutation]) -> DeletionAuthors:
    """Return the authors of deletions among the mutations of a step."""
    authors: dict[str, list[DeletionAuthor]] = {}
    for mutation in mutations:
        if isinstance(mutation, DeletionAuthor):
            authors.setdefault(mutation.stack_id, []).append(mutation)
    return authors


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


def stack_deletion(authors: Iterable[DeletionAuthor]) -> Change:
    """Return the change of a deleted stack.

    :param authors: the authors of deletions in this stack, in the same step.
    """
    found = next((author for author in authors if author.whole_stack), None)
    by, request_id = (found.user_id, found.request_id) if found else (None, None)
    return Change("stack.delete", None, None, None, by, request_id)
