"""Storing and deleting the read set of a member."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from factstore.core.errors import NotFound
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ReadSet
from factstore.core.model.record import RecordKey
from factstore.core.operations.member_updates import living_member
from factstore.core.operations.operation import Draft, Operation, View


@quick_dataclass(frozen=True, slots=True)
class ReadSetResult:
    """The read set after the write.

    :param created: True if the member had none.
    :param unchanged: True if the member had the same.
    """

    read_set: ReadSet
    created: bool = False
    unchanged: bool = False


@quick_dataclass(slots=True)
class PutReadSet(Operation[ReadSetResult]):
    """Store the read set of a member's current incarnation, on the member's lease."""

    scope: Scope
    read_set: ReadSet
    generation: str | None
    author: Author

    def plan(self, view: View) -> Draft[ReadSetResult]:
        """Return the draft; it writes nothing if the member has the same read set.

        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale``.
        """
        member = living_member(view, self.read_set.member, self.generation)
        key = self.read_set.record_key
        known = view.record(key)
        revisions = {member.record_key: member.revision, key: known.revision if known else 0}
        if isinstance(known, ReadSet) and known.text == self.read_set.text:
            return Draft(ReadSetResult(known, unchanged=True), record_revisions=revisions)
        written = replace(
            self.read_set,
            lease=member.lease,
            updated_at=view.now,
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
        )
        result = ReadSetResult(written, created=known is None)
        return Draft(result, records=(written,), record_revisions=revisions)


@quick_dataclass(slots=True)
class DeleteReadSet(Operation[None]):
    """Delete the read set of a member, which reads everything from then on."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    member: str
    generation: str | None
    author: Author

    def plan(self, view: View) -> Draft[None]:
        """Return the draft.

        :raises NotFound: there is no such member, or it has no read set.
        :raises Conflict: ``generation_stale``.
        """
        member = living_member(view, self.member, self.generation)
        key = RecordKey(ReadSet, self.member)
        known = view.record(key)
        if known is None:
            raise read_set_missing(self.member)
        revisions = {member.record_key: member.revision, key: known.revision}
        return Draft(None, removes=(key,), record_revisions=revisions)


def read_set_missing(member: str) -> NotFound:
    """Return the refusal of a request about the read set of a member that has none."""
    return NotFound(f"Member {quoted(member)} has no read set: every change concerns it.")
