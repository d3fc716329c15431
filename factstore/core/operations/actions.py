"""Creating an action, cancelling and deleting it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar

from factstore.core.errors import Conflict, NotFound
from factstore.core.model.action import (
    ACTION_MEMBERS_PER_STACK,
    ACTIONS_PER_STACK,
    Action,
    ActionRequest,
    ActionTimer,
    action_key,
)
from factstore.core.model.fact import Author, Scope
from factstore.core.model.member import Member
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import RecordKey
from factstore.core.operations.bounds import quota_exceeded
from factstore.core.operations.idempotency import Idempotency, key_reused
from factstore.core.operations.operation import (
    Draft,
    LeaseRequest,
    Operation,
    View,
    stack_missing,
)
from factstore.core.state.action_view import ActionView, new_view


@quick_dataclass(slots=True)
class CreateAction(Operation[ActionView]):
    """Create an action for the members that have joined.

    :param id: of the new action.
    """

    scope: Scope
    id: str
    request: ActionRequest
    author: Author
    idempotency: Idempotency | None = None

    def plan(self, view: View) -> Draft[ActionView]:
        """Return the draft.

        :raises NotFound: there is no such stack.
        :raises Conflict: ``member_missing``: no such member has joined.
        :raises Forbidden: ``quota_exceeded``.
        """
        if view.stack_state is None:
            raise stack_missing(view.scope)
        request = self.request
        members = self._members(view)
        _check_room(view, len(members))
        action = Action(
            id=self.id,
            definition=request.definition,
            member=request.member,
            group=request.group,
            members=tuple((each.name, each.generation) for each in members),
            max_parallel=request.max_parallel,
            timeout=request.timeout,
            ttl=request.ttl,
            created_at=view.now,
            created_by=self.author.user_id,
            request_id=self.author.request_id,
        )
        timer = ActionTimer(self.id)
        return Draft(
            new_view(action),
            records=(action, timer),
            record_revisions={action.record_key: 0},
            leases={
                action.record_key: LeaseRequest(request.timeout + request.ttl),
                timer.record_key: LeaseRequest(request.timeout),
            },
        )

    def _members(self, view: View) -> list[Member]:
        live = view.stack_state.live_members if view.stack_state else {}
        name, group = self.request.member, self.request.group
        named = live.values() if name is None else filter(None, (live.get(name),))
        found = [
            each
            for each in named
            if not each.declared_only and (group is None or each.group == group)
        ]
        if not found:
            nobody = (
                f"Member {quoted(name or '')} has not"
                if name
                else f"No member of {quoted(group or '')} has"
            )
            raise Conflict(
                f"{nobody} joined stack {quoted(self.scope.stack)}, so no agent would run the action. "
                "List the members.",
                code="member_missing",
                extra={"member": name} if name else {"group": group},
            )
        return sorted(found, key=lambda each: each.name)

    def to_receipt(self, view: View, draft: Draft[ActionView]) -> Receipt:
        """Return the receipt, which names the action."""
        assert self.idempotency is not None  # noqa: S101 - there is no receipt without it
        return Receipt(
            self.idempotency.key,
            self.idempotency.fingerprint,
            json.dumps([{"outcome": draft.outcome.action.id}]),
            view.now,
            self.author.user_id,
            self.author.request_id,
        )

    def replay(self, receipt: Receipt, view: View) -> ActionView:
        """Return the action that the request created the first time.

        :raises Conflict: ``idempotency_key_reused``: the key was used for another request.
        :raises NotFound: the action was deleted, or has expired.
        """
        if self.idempotency is None or receipt.fingerprint != self.idempotency.fingerprint:
            raise key_reused()
        return view_action(view, json.loads(receipt.results)[0]["outcome"])


@quick_dataclass(slots=True)
class CancelAction(Operation[ActionView]):
    """Cancel an action: no further member starts, and agents end what they run."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    id: str
    author: Author

    def plan(self, view: View) -> Draft[ActionView]:
        """Return the draft; it is empty if the action was cancelled before.

        :raises NotFound: there is no such action.
        :raises Conflict: ``action_ended``.
        """
        found = view_action(view, self.id)
        action = found.action
        guards = {action.record_key: action.revision}
        if action.cancelled_at is not None:
            return Draft(found, record_revisions=guards)
        if found.ended:
            raise Conflict(
                f"Action {self.id} is {found.state} already and cannot be cancelled.",
                code="action_ended",
                extra={"state": found.state},
            )
        cancelled = replace(action, cancelled_at=view.now, request_id=self.author.request_id)
        runs = tuple(
            replace(run, state="cancelled") if run.state in ("waiting", "due") else run
            for run in found.runs
        )
        lifetime = LeaseRequest(action.timeout + action.ttl, action.lease, shared=True)
        return Draft(
            ActionView(cancelled, runs),
            records=(cancelled,),
            record_revisions=guards,
            leases={action.record_key: lifetime},
        )


@quick_dataclass(slots=True)
class DeleteAction(Operation[None]):
    """Delete an action with its results."""

    scope: Scope
    id: str
    author: Author

    def plan(self, view: View) -> Draft[None]:
        """Return the draft.

        :raises NotFound: there is no such action.
        """
        action, timer = find_action(view, self.id), view.record(RecordKey(ActionTimer, self.id))
        return Draft(
            None,
            removes=(action.record_key, RecordKey(ActionTimer, self.id)),
            record_revisions={action.record_key: action.revision},
            ends=(action.lease, *([timer.lease] if timer else ())),  # the first deletes the results
        )


def _check_room(view: View, members: int) -> None:
    stack = view.stack_state
    count = len(stack.records(Action)) if stack else 0
    used = stack.actions.member_count if stack else 0
    for name, limit, total in (
        ("actions_per_stack", ACTIONS_PER_STACK, count + 1),
        ("action_members_per_stack", ACTION_MEMBERS_PER_STACK, used + members),
    ):
        if total > limit:
            what = "actions" if name == "actions_per_stack" else "members in all its actions"
            raise quota_exceeded(
                name,
                limit,
                total,
                f"The stack would have {total} {what}; at most {limit} are allowed. Delete actions "
                "that have ended.",
            )


def find_action(view: View, action: str) -> Action:
    """Return an action.

    :raises NotFound: it does not exist.
    """
    found = view.record(action_key(action))
    if not isinstance(found, Action):
        raise action_missing(view.scope, action)
    return found


def view_action(view: View, action: str) -> ActionView:
    """Return an action with its runs.

    :raises NotFound: it does not exist.
    """
    found, stack = find_action(view, action), view.stack_state
    if stack is None:
        raise action_missing(view.scope, action)
    return stack.actions.view(found)


def action_missing(scope: Scope, action: str) -> NotFound:
    """Return the refusal of a request about an action that does not exist."""
    return NotFound(
        f"There is no action {quoted(action)} in a stack named {quoted(scope.stack)}: it was deleted "
        "or has expired, or the id is wrong."
    )
