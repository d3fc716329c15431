"""Quotas: a write that grows a project is refused if the project would exceed its quota.

Usage is counted in the state of this worker.  Writes that are under way at the same moment do not see
one another, so a quota may be exceeded by what is in flight: with W workers that each carry out C
writes at once, by at most W * C writes.
"""

from __future__ import annotations

from typing import Any

from factstore.core.model.counts import counted
from factstore.core.model.fact import Fact
from factstore.core.model.quota import UNLIMITED, Quota
from factstore.core.model.record import Record
from factstore.core.model.subscription import Subscription
from factstore.core.operations.bounds import quota_exceeded
from factstore.core.operations.operation import Draft, View


def check_quota(quota: Quota, view: View, draft: Draft[Any]) -> None:
    """Refuse a draft that would exceed a quota.

    Only growth is judged: a project above a quota that was lowered may still change and delete.

    :raises Forbidden: ``quota_exceeded``.
    """
    stacks = 0 if view.stack_state else 1
    facts, size = growth(view, draft)
    project = view.state.project_usage(view.scope.project_id)
    stack = view.stack_state
    subscriptions = len(stack.records(Subscription)) if stack else 0
    new = sum(isinstance(r, Subscription) and not r.revision for r in draft.records)
    for name, limit, used, more in (
        ("stacks", quota.stacks, project.stacks, stacks),
        ("facts", quota.facts, project.facts, facts),
        ("bytes", quota.bytes, project.bytes, size),
        ("facts_per_stack", quota.facts_per_stack, stack.count if stack else 0, facts),
        ("subscriptions", quota.subscriptions, subscriptions, new),
        ("bytes_per_stack", quota.bytes_per_stack, stack.bytes if stack else 0, size),
    ):
        if limit != UNLIMITED and more > 0 and used + more > limit:
            nouns, _, per_stack = name.partition("_")
            total = counted(used + more, nouns.removesuffix("s"))
            raise quota_exceeded(
                name,
                limit,
                used,
                f"This would make {total} in the {'stack' if per_stack else 'project'}; "
                f"at most {limit} are allowed. Delete some, or ask an operator for a larger quota.",
            )


def growth(view: View, draft: Draft[Any]) -> tuple[int, int]:
    """Return how many facts and bytes a draft adds to its stack; negative if it frees them."""
    after = [_of_fact(fact) for fact in draft.puts] + [_of_record(r) for r in draft.records]
    before = [_of_fact(view.fact(path)) for path in (*[f.path for f in draft.puts], *draft.deletes)]
    before += [_of_record(view.record(r.record_key)) for r in draft.records]
    before += [_of_record(view.record(key)) for key in draft.removes]
    facts = sum(each[0] for each in after) - sum(each[0] for each in before)
    size = sum(each[1] for each in after) - sum(each[1] for each in before)
    return facts, size


def _of_fact(fact: Fact | None) -> tuple[int, int]:
    return (1, fact.size) if fact else (0, 0)


def _of_record(record: Record | None) -> tuple[int, int]:
    """Return the facts and the bytes that a record counts; zeros if it is missing or not counted."""
    if record is None or record.size is None:
        return 0, 0
    return int(record.is_item), record.size
