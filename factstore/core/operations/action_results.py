"""Reporting the result of a member's run, and storing that runs were lost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar

from factstore.core.errors import Conflict, NotFound
from factstore.core.model.action import (
    Action,
    ActionResult,
    ActionResultState,
    ActionTimer,
    action_result_key,
)
from factstore.core.model.configuration_result import ConfigurationResult
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.operations.actions import action_missing, find_action
from factstore.core.operations.fencing import MemberFence
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View
from factstore.core.state.action_view import MemberRun, Run

LOST_AT_ONCE = 50  # in one transaction


@quick_dataclass(frozen=True, slots=True)
class ReportedRun:
    """A run after a report, and whether the report changed anything."""

    run: MemberRun
    changed: bool


@quick_dataclass(slots=True)
class ReportActionResult(Operation[ReportedRun]):
    """Store the result of a member's run, or its progress.

    The first report starts the run, which only a member may do whose turn it is.  An end is accepted at
    any time after that, even of a run that was lost or timed out.

    :param fences: generations of members; all must be alive.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    action: str
    member: str
    report: ConfigurationResult
    author: Author
    fences: Collection[str] = ()

    def plan(self, view: View) -> Draft[ReportedRun]:
        """Return the draft.

        :raises NotFound: there is no such action, or the member is not one of its members.
        :raises Conflict: ``action_ended``, ``action_waiting`` or ``generation_stale``.
        """
        action, stack = find_action(view, self.action), view.stack_state
        run = stack.actions.run(action, self.member) if stack else None
        if stack is None or run is None:
            raise run_missing(view.scope, self.action, self.member)
        fence = MemberFence(view)
        for generation in self.fences:
            fence.require(generation)
        key, known = action_result_key(self.action, self.member), run.result
        timer = view.record(RecordKey(ActionTimer, self.action))
        guards = {
            **fence.guards,
            action.record_key: action.revision,
            key: known.revision if known else 0,
            RecordKey(ActionTimer, self.action): timer.revision if timer else 0,
        }
        result = self._result(view, action, known, timed_out=timer is None)
        unchanged = Draft(
            ReportedRun(MemberRun(action, run), changed=False), record_revisions=guards
        )
        if known is not None and known.ended and _is_same(known, result):
            return unchanged
        self._check(action, run)
        if run.state == "lost" and not self.report.ended:  # it continues, but its member has ended
            return unchanged
        if known is not None and _is_same(known, result):
            return unchanged
        after = Run(self.member, result.state, result)
        return Draft(
            ReportedRun(MemberRun(action, after), changed=True),
            records=(result,),
            record_revisions=guards,
            leases={key: _lifetime(action)},
        )

    def _check(self, action: Action, run: Run) -> None:
        started = run.result is not None and run.result.started_at is not None
        goes_on = action.cancelled_at is None or self.report.ended
        if run.state in ("due", "in_progress") and goes_on:
            return
        late = run.state == "lost" or (run.state == "timed_out" and self.report.ended)
        if late and started and (run.result is None or run.result.state in ("in_progress", "lost")):
            return
        if run.state == "waiting":
            raise Conflict(
                f"Member {quoted(self.member)} must wait: as many other members as may run at the same "
                f"time run action {self.action}.",
                code="action_waiting",
            )
        state = run.state if goes_on or run.ended else "cancelled"
        raise Conflict(
            f"The run of action {self.action} on member {quoted(self.member)} is {state}. End it, or "
            "do not start it.",
            code="action_ended",
            extra={"state": state},
        )

    def _result(
        self, view: View, action: Action, known: ActionResult | None, *, timed_out: bool
    ) -> ActionResult:
        report = self.report
        state: ActionResultState = report.state
        if state == "failed" and action.cancelled_at is not None:
            state = "cancelled"
        elif state == "failed" and timed_out:
            state = "timed_out"
        return ActionResult(
            action=self.action,
            member=self.member,
            state=state,
            status_code=report.status_code,
            percent=report.percent,
            message=report.message,
            reason=report.reason,
            stdout=report.stdout,
            stderr=report.stderr,
            outputs=report.outputs,
            started_at=(known.started_at if known else None) or view.now,
            ended_at=view.now if report.ended else None,
            request_id=self.author.request_id,
        )


@quick_dataclass(slots=True)
class StoreLostRuns(Operation[None]):
    """Store that runs were lost, because their members ended before them.

    Every worker finds the same; a guard on the results allows one of them to write.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    author: None = None

    def plan(self, view: View) -> Draft[None]:
        """Return the draft; it is empty if no run was lost."""
        stack = view.stack_state
        records: list[ActionResult] = []
        guards: dict[RecordKey, int] = {}
        leases: dict[str | RecordKey, LeaseRequest] = {}
        for key, (identifier, member) in (
            list(stack.actions.lost.items())[:LOST_AT_ONCE] if stack else ()
        ):
            action = stack.actions.find(identifier) if stack else None
            run = stack.actions.run(action, member) if stack and action else None
            if action is None or run is None or run.state != "lost":
                continue
            known = run.result
            guards[key] = known.revision if known else 0
            guards[action.record_key] = action.revision
            guards[RecordKey(ActionTimer, action.id)] = _revision(view, action.id)
            leases[key] = _lifetime(action)
            lost = known or ActionResult(
                *(action.id, member, "lost", None, None, "", "", "", "", "{}", None, None, "")
            )
            reason = "the member departed or expired before its run ended"
            records.append(
                replace(
                    lost,
                    state="lost",
                    reason=reason,
                    ended_at=view.now,
                    request_id=f"lost-{action.id}",
                    revision=0,
                )
            )
        return Draft(None, records=tuple(records), record_revisions=guards, leases=leases)


def _revision(view: View, action: str) -> int:
    timer = view.record(RecordKey(ActionTimer, action))
    return timer.revision if timer else 0


def _lifetime(action: Action) -> LeaseRequest:
    return LeaseRequest(action.timeout + action.ttl, action.lease, shared=True)


def _is_same(known: ActionResult, new: ActionResult) -> bool:
    """Return True if a report repeats the stored one."""
    names = ("revision", "lease", "ended_at", "request_id")
    return replace(known, **{name: getattr(new, name) for name in names}) == new


def run_missing(scope: Scope, action: str, member: str) -> NotFound:
    """Return the refusal of a request about a member that does not take part in an action."""
    missing = action_missing(scope, action)
    missing.detail = f"Member {quoted(member)} does not take part in action {quoted(action)}."
    return missing
