"""Previews of batches, and batches that are carried out only if they still do what a preview states.

Both are planned by :class:`~factstore.core.operations.facts.WriteFacts`, like any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any, Literal, get_args

from factstore.core.errors import Conflict, PreconditionFailed, SealBroken
from factstore.core.model.batch_plan import BatchPlan, part_digest, request_digest
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Delete, Fact, Put, Scope
from factstore.core.model.fact_result import FactResult
from factstore.core.model.member import Member
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.model.transaction import GUARDS, OWN_GUARDS
from factstore.core.model.usage import ProjectUsage, Usage
from factstore.core.operations.condition_room import next_room
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.operations.quota import growth
from factstore.core.state.forecast import Forecast, forecast

PlanPart = Literal["facts", "waiters", "alarms", "members"]
PARTS: tuple[PlanPart, ...] = get_args(PlanPart)
NAMED = 5  # facts in a refusal
_ABOUT = "plan of a batch"

_MOVED: dict[PlanPart, str] = {
    "facts": "the facts, the folders or the members that the batch names have changed",
    "waiters": "it would change other waiters, or change them otherwise",
    "alarms": "it would change other alarms, or change them otherwise",
    "members": "it would wake other members",
}


@quick_dataclass(frozen=True, slots=True)
class Preview:
    """The effects that a batch would have.

    :param results: as of the batch; the facts have no revision.
    :param former: for each result, the fact before the batch; None if it does not exist.
    :param stack: the usage of the stack after the batch.
    :param project: the usage of its project after the batch.
    :param plan: see :class:`WritePlannedFacts`.
    """

    results: tuple[FactResult, ...]
    former: tuple[Fact | None, ...]
    forecast: Forecast
    stack: Usage
    project: ProjectUsage
    plan: BatchPlan


@quick_dataclass(slots=True)
class PreviewFacts(Operation[Preview]):
    """Find out what a write of facts would do.  It is planned, and never carried out."""

    write: WriteFacts
    scope: Scope = field(init=False)
    author: Author = field(init=False)

    def __post_init__(self) -> None:
        self.scope, self.author = self.write.scope, self.write.author

    @property
    def creates_stack(self) -> bool:
        """Return whether the write creates a missing stack."""
        return self.write.creates_stack

    def plan(self, view: View) -> Draft[Preview]:
        """Return the draft of the write, whose outcome describes it.

        :raises FactstoreError: the refusal of the write.
        """
        draft = self.write.plan(view)
        stack, project = view.stack_state, view.state.project_usage(self.scope.project_id)
        facts, size = growth(view, draft)
        found = _forecast(view, draft)
        outcome = Preview(
            draft.outcome,
            tuple([view.fact(result.path) for result in draft.outcome]),
            found,
            Usage(
                (stack.count if stack else 0) + facts,
                (stack.bytes if stack else 0) + size,
            ),
            ProjectUsage(
                project.stacks + (stack is None), project.facts + facts, project.bytes + size
            ),
            _plan(self.write, view, draft, found),
        )
        return replace(draft, outcome=outcome)  # type: ignore[arg-type, return-value]


@quick_dataclass(slots=True)
class WritePlannedFacts(WriteFacts):
    """A write of facts that is refused unless it does what a plan says.

    The facts and the waiters and alarms that change are compared in the transaction, too, the latter as
    far as there is room.  Of several such writes, and of those that set waiters and alarms, each is
    planned on the outcome of the others.  Other writes that are made in the same moment count as later
    ones: they concern neither the facts nor the members that the batch names.
    """

    expected: BatchPlan = field(kw_only=True)

    def plan(self, view: View) -> Draft[tuple[FactResult, ...]]:
        """Return the draft of the write.

        :raises PreconditionFailed: ``plan_outdated``.
        :raises Conflict: ``plan_mismatch``, or a refusal of the write.
        """
        expected = self.expected
        if expected.cursor.epoch != view.state.epoch:
            raise _outdated(["the database was restored or replaced since the dry run"], PARTS)
        self._check_request()
        draft = WriteFacts.plan(self, view)
        found = _forecast(view, draft)
        parts = _digests(view, draft, found)
        moved = [part for part in PARTS if parts[part] != getattr(expected, part)]
        if moved:
            raise _outdated([_cause(part, expected, draft) for part in moved], moved)
        guards = _guards(draft, found)
        if view.full or not draft.changes:  # a full store takes no record, only deletions
            return replace(draft, record_revisions=guards)
        room, guard = next_room(view)
        return replace(draft, records=(*draft.records, room), record_revisions={**guards, **guard})

    def _check_request(self) -> None:
        digest, expected = request_digest(_document(self)), self.expected.request
        if self.has_sensitive and self.expected.is_sealed:
            try:
                matches = self.encryption.opens_digest(expected, digest, _ABOUT)
            except SealBroken:
                raise _outdated(["the key that sealed it is no longer available"], []) from None
        else:
            matches = digest == expected
        if not matches:
            raise Conflict(
                "This plan was made for another batch: the operations, the guards, the generation or "
                "the stack differ. Nothing was written. Send the batch of the dry run unchanged, or "
                "make a plan for this one with dry_run=true.",
                code="plan_mismatch",
            )


def _outdated(causes: Sequence[str], moved: Sequence[PlanPart]) -> PreconditionFailed:
    return PreconditionFailed(
        f"The batch would not do what its plan says: {'; '.join(causes)}. Nothing was written. Make a "
        "new plan with dry_run=true, and decide again.",
        code="plan_outdated",
        extra={"moved": list(moved)},
    )


def _cause(part: PlanPart, expected: BatchPlan, draft: Draft[Any]) -> str:
    if part == "facts":
        since = expected.cursor.revision
        changed = [path for path, revision in draft.fact_revisions.items() if revision > since]
        if changed:
            more = " and others" if len(changed) > NAMED else ""
            names = ", ".join(map(quoted, sorted(changed)[:NAMED]))
            return f"{names}{more} changed after the dry run"
    return _MOVED[part]


def _forecast(view: View, draft: Draft[tuple[FactResult, ...]]) -> Forecast:
    stack_state = view.stack_state
    return Forecast() if stack_state is None else forecast(stack_state, draft.puts, draft.deletes)


def _plan(
    write: WriteFacts, view: View, draft: Draft[tuple[FactResult, ...]], found: Forecast
) -> BatchPlan:
    request = request_digest(_document(write))
    if write.has_sensitive:  # a plain digest would allow readers of the token to try values out
        request = write.encryption.seal_digest(request, _ABOUT)
    cursor = Cursor(view.state.epoch, view.state.revision)
    return BatchPlan(cursor, **_digests(view, draft, found), request=request)


def _digests(
    view: View, draft: Draft[tuple[FactResult, ...]], found: Forecast
) -> dict[PlanPart, str]:
    members = {k.name: r for k, r in draft.record_revisions.items() if k.kind is Member}
    stack_state = view.stack_state
    facts = (
        stack_state.stack.id if stack_state else None,
        draft.fact_revisions,
        members,
        [(result.path, result.outcome, result.deleted) for result in draft.outcome],
    )
    waiters = [
        (
            *(each.waiter.name, each.waiter.revision, each.state, each.reason),
            *(each.progress.satisfied, each.progress.needed),
            *(each.progress.missing, each.progress.failing),
        )
        for each in found.waiters
    ]
    alarms = [
        (
            *(each.alarm.name, each.alarm.revision, each.step, each.state),
            *(each.reading.value, each.reading.reason),
        )
        for each in found.alarms
    ]
    woken = [(member.name, member.generation) for member in found.woken]
    return {
        "facts": part_digest(facts),
        "waiters": part_digest(waiters),
        "alarms": part_digest(alarms),
        "members": part_digest(woken),
    }


def _guards(draft: Draft[Any], found: Forecast) -> dict[RecordKey, int]:
    """Return the guards of a draft with those on what changes, as far as there is room."""
    guards: dict[RecordKey, int] = dict(draft.record_revisions)
    # The guards on the tree take as many as those on facts, at most, before they become coarse.
    room = GUARDS - OWN_GUARDS - 3 * len(draft.fact_revisions) - len(guards) - 1
    records = [*[each.waiter for each in found.waiters], *[each.alarm for each in found.alarms]]
    for record in records[: max(room, 0)]:
        guards[record.record_key] = record.revision
    return guards


def _document(write: WriteFacts) -> list[object]:
    """Return a write of facts as JSON."""
    operations: list[object] = []
    for request in write.requests:
        if isinstance(request, Put):
            operations.append(
                (
                    *(request.path, request.text, request.kind, request.ttl, request.member),
                    *(request.generation, request.sensitive, request.readers),
                )
            )
        else:
            operations.append((request.path, isinstance(request, Delete)))
    guards = [
        (path, None if guard.tags is None else sorted(guard.tags), guard.exists)
        for path, guard in write.guards
    ]
    return [*write.scope, operations, guards, sorted(write.fences)]
