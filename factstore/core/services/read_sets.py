"""Read sets: which changes concern a member."""

from __future__ import annotations

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import check_name, check_stack_name
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ReadSet
from factstore.core.model.record import RecordKey
from factstore.core.operations.member_updates import member_missing
from factstore.core.operations.read_sets import DeleteReadSet, PutReadSet, read_set_missing
from factstore.core.services.base import Service


@quick_dataclass(frozen=True, slots=True)
class StoredReadSet:
    """A read set as stored.

    :param created: True if the member had none.
    :param unchanged: True if the member had the same.
    """

    read_set: ReadSet
    created: bool
    unchanged: bool
    cursor: Cursor


class ReadSetService(Service):
    """The service for read sets."""

    def get(self, scope: Scope, member: str, *, stale: bool = False) -> ReadSet:
        """Return the read set of a living member.

        :raises NotFound: there is no such member, or it has no read set.
        """
        check_stack_name(scope.stack)
        check_name(member, "member")
        state = self._state(stale=stale)
        with state.read():
            living = state.member(scope, member)
            found = state.record(scope, RecordKey(ReadSet, member))
        if living is None:
            raise member_missing(scope, member)
        if not isinstance(found, ReadSet):
            raise read_set_missing(member)
        return found

    def put(
        self, scope: Scope, read_set: ReadSet, generation: str | None, author: Author
    ) -> StoredReadSet:
        """Store the read set of a member; the member's next incarnation starts without one.

        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale``.
        :raises Forbidden: ``quota_exceeded``.
        """
        check_stack_name(scope.stack)
        check_name(read_set.member, "member")
        done = self._transactor.run(PutReadSet(scope, read_set, generation, author))
        result = done.outcome
        stored = done.written_record(result.read_set)
        return StoredReadSet(stored, result.created, result.unchanged, done.cursor)

    def delete(self, scope: Scope, member: str, generation: str | None, author: Author) -> Cursor:
        """Delete the read set of a member; return the cursor.

        :raises NotFound: there is no such member, or it has no read set.
        :raises Conflict: ``generation_stale``.
        """
        check_stack_name(scope.stack)
        check_name(member, "member")
        return self._transactor.run(DeleteReadSet(scope, member, generation, author)).cursor
