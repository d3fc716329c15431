"""Changing a living member: its state, its departure, and the revision that it has applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.member import Applied, Declaration, Member, MemberState
from factstore.core.model.path import quoted
from factstore.core.model.precondition import ANY, Precondition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ReadSet
from factstore.core.model.record import Record, RecordKey
from factstore.core.operations.fencing import stale_generation
from factstore.core.operations.members import check_member, declared_otherwise
from factstore.core.operations.operation import (
    Draft,
    LeaseRequest,
    Operation,
    View,
    stack_missing,
)

DEPARTURE_SECONDS = 30
"""After so long a departed member that had no lease is removed, if it is not removed at once."""


@quick_dataclass(slots=True)
class SetMemberState(Operation[Member]):
    """Set the state of a living member; the outcome is the member."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    name: str
    state: MemberState
    generation: str | None
    author: Author
    precondition: Precondition = ANY

    def plan(self, view: View) -> Draft[Member]:
        """Return the draft; it writes nothing if the member has the state already.

        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale``.
        :raises PreconditionFailed: *precondition* is not met.
        """
        member = living_member(view, self.name, self.generation)
        check_member(self.precondition, view, self.name, member)
        revisions = {member.record_key: member.revision}
        if member.state == self.state:
            return Draft(member, record_revisions=revisions)
        changed = _changed(member, self.state, member.reason, self.author, view)
        # Workers of earlier versions cannot read the field; a stack without read sets may have some.
        if member.listed or view.record(RecordKey(ReadSet, self.name)) is not None:
            changed = replace(changed, listed=member.listed_revision)
        return Draft(changed, records=(changed,), record_revisions=revisions)


@quick_dataclass(slots=True)
class DepartMember(Operation[Member]):
    """Write the last state of a member, and end its lease; the outcome is the departed member.

    A member that is only declared has no lease, and gets a brief one.

    :param declared: as what the member must be declared; None to let it depart in any case.
    :param keeps_declaration: True if a declared member that has joined is awaited again afterwards.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    name: str
    reason: str
    generation: str | None
    author: Author
    declared: str | None = None
    keeps_declaration: bool = False
    precondition: Precondition = ANY

    def plan(self, view: View) -> Draft[Member]:
        """Return the draft of the departure.

        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale`` or ``member_declared``.
        :raises PreconditionFailed: *precondition* is not met.
        """
        member = living_member(view, self.name, self.generation)
        check_member(self.precondition, view, self.name, member)
        if self.declared not in (None, member.declared):
            raise declared_otherwise(member)
        key = RecordKey(Declaration, member.name)
        stored = view.record(key)
        declaration = stored if isinstance(stored, Declaration) else None
        revisions = {
            member.record_key: member.revision,
            key: declaration.revision if declaration else 0,
        }
        about = (RecordKey(Applied, member.name), RecordKey(ReadSet, member.name))
        keeps = self.keeps_declaration and declaration is not None and member.lease
        if view.full:
            # There is no room for the last state.  A declaration that ends is removed first: once the
            # member is gone, it would be awaited.
            ends = (member.record_key,) if keeps else (key, member.record_key)
            return Draft(
                member,
                removes=(*ends, *about),
                record_revisions=revisions,
                ends=(member.lease,),
            )
        if keeps and declaration is not None:
            awaited = self._awaited(declaration, member, view)
            return Draft(
                awaited,
                records=(awaited,),
                removes=about,
                record_revisions=revisions,
                ends=(member.lease,),
            )
        departed = _changed(member, "departed", self.reason, self.author, view)
        if member.lease:
            return Draft(
                departed,
                records=(departed,),
                removes=(key,),
                record_revisions=revisions,
                ends=(member.lease,),
            )
        return Draft(
            departed,
            records=(departed,),
            removes=(*about, key),
            record_revisions=revisions,
            leases={member.record_key: LeaseRequest(DEPARTURE_SECONDS, brief=True)},
        )

    def _awaited(self, declaration: Declaration, member: Member, view: View) -> Member:
        return replace(
            declaration.awaited(),
            # Nobody needs to wait for an instance that is about to be removed.
            state="draining" if member.state == "draining" else "joining",
            version=member.version + 1,
            updated_at=view.now,
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
            cause=self.author.cause_in(view.state.epoch),
            told=0,
        )


def _changed(
    member: Member, state: MemberState, reason: str | None, author: Author, view: View
) -> Member:
    return replace(
        member,
        state=state,
        reason=reason,
        version=member.version + 1,
        updated_at=view.now,
        updated_by=author.user_id,
        request_id=author.request_id,
        cause=author.cause_in(view.state.epoch),
        told=0,
        listed=0,
        memo={},
    )


Report = tuple[Member, Cursor]
"""A member, and the cursor that it has applied."""


@quick_dataclass(slots=True)
class RecordApplied(Operation[None]):
    """Record the revisions that members have applied, where that is news and changes who lags.

    A report about another store is left out: the member has not applied what this one contains.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    reports: Sequence[Report]
    author: None = None

    def plan(self, view: View) -> Draft[None]:
        """Return the draft; members that have gone or joined again since are left out."""
        records: list[Record] = []
        revisions: dict[RecordKey, int] = {}
        for reported, (epoch, seen) in self.reports:
            member = view.member(reported.name)
            if member is None or member.generation != reported.generation:
                continue
            if epoch != view.state.epoch:
                continue
            stack_state = view.stack_state
            if stack_state and stack_state.convergence.is_progress(member.name, seen):
                applied = Applied(member.name, seen, lease=member.lease)
                record = view.record(applied.record_key)
                revisions[member.record_key] = member.revision
                revisions[applied.record_key] = record.revision if record else 0
                records.append(applied)
        return Draft(None, records=tuple(records), record_revisions=revisions)


def living_member(view: View, name: str, generation: str | None) -> Member:
    """Return the living member of a name.

    :param generation: the generation that it must have; None for any.
    :raises NotFound: there is no such member.
    :raises Conflict: ``generation_stale``.
    """
    if view.stack_state is None:  # a member that joined again would bring a deleted stack back
        raise stack_missing(view.scope)
    member = view.member(name)
    if generation is not None and (member is None or member.generation != generation):
        raise stale_generation(generation, name)
    if member is None:
        raise member_missing(view.scope, name)
    return member


def member_missing(scope: Scope, name: str) -> NotFound:
    """Return the refusal of a request about a member that does not exist."""
    return NotFound(f"There is no member {quoted(name)} in a stack named {quoted(scope.stack)}.")
