"""Arming a waiter, deleting it, and writing down how it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from factstore.core.errors import NotFound, PreconditionFailed
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.model.waiter import WAITERS_PER_STACK, Timer, Waiter
from factstore.core.operations.bounds import check_bound
from factstore.core.operations.condition_room import take_room
from factstore.core.operations.lost_history import lost_since
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View
from factstore.core.state.pending_waiters import Outcome

ArmOutcome = Literal["created", "armed", "unchanged"]


@quick_dataclass(frozen=True, slots=True)
class ArmResult:
    """The armed waiter, and the outcome of the arming."""

    waiter: Waiter
    outcome: ArmOutcome


@quick_dataclass(slots=True)
class ArmWaiter(Operation[ArmResult]):
    """Arm a waiter; an equal one that is pending is left alone.

    :param create_only: refuse if a waiter of that name exists.
    """

    may_create_stack: ClassVar[bool] = True

    scope: Scope
    name: str
    definition: Definition
    author: Author
    create_only: bool = False

    def plan(self, view: View) -> Draft[ArmResult]:
        """Return the draft.

        :raises PreconditionFailed: see *create_only*.
        :raises Forbidden: ``quota_exceeded``: the stack has too many waiters or conditions.
        """
        key = RecordKey(Waiter, self.name)
        record = view.record(key)
        known = record if isinstance(record, Waiter) else None
        if known is not None and self.create_only:
            raise PreconditionFailed(f"A waiter named {quoted(self.name)} exists already.")
        text, revisions = self.definition.text, {key: known.revision if known else 0}
        if known is not None and known.state == "pending" and known.definition == text:
            return Draft(ArmResult(known, "unchanged"), record_revisions=revisions)
        if known is None:
            count = len(view.stack_state.records(Waiter)) if view.stack_state else 0
            check_bound("waiters", count, WAITERS_PER_STACK)
        room, guard = take_room(view, key, self.definition.leaves())
        waiter = Waiter(
            name=self.name,
            definition=text,
            timeout=self.definition.timeout,
            extends=self.definition.extend_on_progress,
            state="pending",
            armed_at=view.now,
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
        )
        timer = Timer(self.name)
        # A former leader of etcd would revoke a lease of whose renewals it does not know.
        lease = LeaseRequest(self.definition.timeout, monitored=self.definition.extend_on_progress)
        return Draft(
            ArmResult(waiter, "armed" if known else "created"),
            records=(waiter, timer, room),
            cleared_waiters=(self.name,) if known else (),
            record_revisions={**revisions, **guard},
            leases={timer.record_key: lease, key: lease},
            ends=(known.timer,) if known else (),
        )


@quick_dataclass(slots=True)
class DeleteWaiter(Operation[Waiter]):
    """Delete a waiter and its signals; the outcome is the waiter as it was."""

    scope: Scope
    name: str
    author: Author

    def plan(self, view: View) -> Draft[Waiter]:
        """Return the draft.

        :raises NotFound: there is no such waiter.
        """
        waiter = waiter_of(view, self.name)
        return Draft(
            waiter,
            removes=(waiter.record_key, RecordKey(Timer, self.name)),
            cleared_waiters=(self.name,),
            record_revisions={waiter.record_key: waiter.revision},
            ends=(waiter.timer,),
        )


@quick_dataclass(slots=True)
class EndWaiter(Operation[bool]):
    """Write down how a waiter ended; the outcome is whether this write did it.

    Every worker finds the same outcome.  The guard on the arming lets one of them write.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    ended: Outcome
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; it is empty if the waiter ended, or was armed again, meanwhile."""
        ended, waiter = self.ended, self.ended.waiter
        known = view.record(waiter.record_key)
        if known is None or known.revision != waiter.revision or view.stack.id != ended.stack.id:
            return Draft(False)
        record = replace(
            waiter,
            state=ended.state,
            decided_at=view.now,
            decided_revision=ended.revision,
            reason=ended.reason,
            progress=ended.progress,
            timer=0,
            history_lost_at=lost_since(view, waiter),
        )
        return Draft(
            True,
            records=(record,),
            removes=(RecordKey(Timer, waiter.name),),
            record_revisions={waiter.record_key: waiter.revision},
            ends=(waiter.timer,),
        )


def waiter_of(view: View, name: str) -> Waiter:
    """Return the waiter of a name.

    :raises NotFound: there is no such waiter.
    """
    record = view.record(RecordKey(Waiter, name))
    if not isinstance(record, Waiter):
        raise waiter_missing(view.scope, name)
    return record


def waiter_missing(scope: Scope, name: str) -> NotFound:
    """Return the refusal of a request about a waiter that does not exist."""
    return NotFound(f"There is no waiter {quoted(name)} in a stack named {quoted(scope.stack)}.")
