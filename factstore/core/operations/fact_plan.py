"""Deciding a write: from a state and wishes to one guarded commit and the answers it will get.

Pure.  The state may lag behind the database: then either the commit's guards fail, or, if the
decision is a refusal, the caller decides again on a fresh state before it is told to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from factstore.core.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import Author, Delete, Fact, Put, Scope, Stack
from factstore.core.model.path import ancestors, quoted
from factstore.core.model.precondition import Precondition
from factstore.core.model.quota import Growth, Quota, admit
from factstore.core.model.record_key import RecordKey
from factstore.core.model.usage import Usage
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.fencing import MemberFence
from factstore.core.ports import Transaction
from factstore.core.state.state import State

BATCH_OPERATIONS = 100  # operations and guards together; etcd takes 128 compares in one transaction
BATCH_BYTES = 1024 * 1024  # etcd takes 1.5 MiB in one request

Outcome = Literal["created", "updated", "unchanged", "deleted", "absent"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one wish.

    :param fact: as it will stand, its revision still 0 if it is written now; None once it is gone.
    """

    path: str
    outcome: Outcome
    fact: Fact | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A commit, and what to answer if it succeeds.

    :param results: of a write of facts, a :class:`Result` for each wish.
    :param growth: what it adds to what is held; *near* tells whether that comes near a quota.
    """

    commit: Transaction
    results: tuple[Any, ...] = ()
    growth: Growth = Growth()  # noqa: RUF009 - it is immutable
    near: bool = False


NOTHING = Transaction(Stack("", "", "", "", "", "", "", ""), 0)
"""The commit of what needs none."""


def check_batch(guards: Sequence[tuple[str, Precondition]], wishes: Sequence[Put | Delete]) -> None:
    """Refuse what no state could accept.

    :raises Invalid: ``batch_empty`` or ``batch_duplicate_path``.
    :raises TooLarge: ``batch_too_large``.
    """
    if not wishes:
        raise Invalid("the batch has no operations; send at least one.", code="batch_empty")
    if len(guards) + len(wishes) > BATCH_OPERATIONS:
        raise TooLarge(
            f"the batch has {len(guards) + len(wishes)} guards and operations; "
            f"at most {BATCH_OPERATIONS} go in one.",
            code="batch_too_large",
        )
    size = sum(len(wish.text) + len(wish.path) for wish in wishes if isinstance(wish, Put))
    if size > BATCH_BYTES:
        raise TooLarge(
            f"the batch's values and paths are {size} characters as canonical JSON; "
            f"at most {BATCH_BYTES} go in one.",
            code="batch_too_large",
        )
    seen: set[str] = set()
    for wish in wishes:
        if wish.path in seen:
            raise Invalid(
                f"two operations name {quoted(wish.path)}; a batch changes a path once.",
                code="batch_duplicate_path",
            )
        seen.add(wish.path)


def plan_writes(
    state: State,
    scope: Scope,
    epoch: str,
    wishes: Sequence[Put | Delete],
    guards: Sequence[tuple[str, Precondition]],
    author: Author,
    *,
    now: str,
    new_stack: Callable[[], Stack] | None,
    quota: Quota,
    fences: Collection[str] = (),
    sealing: Encryption | None = None,
) -> Plan:
    """Decide a batch; a single write is a batch of one.

    :param sealing: seals what is sensitive; needed only if something is.
    :param fences: generations of members; all must live.
    :param new_stack: makes the record of a stack that is missing; None if it must exist.
    :raises PreconditionFailed: a guard does not hold; judged before anything else.
    :raises NotFound: the stack is missing and may not be created.
    :raises Forbidden: ``parameter_protected`` or ``quota_exceeded``.
    :raises Conflict: ``path_is_folder`` or ``path_below_fact``.
    :raises Unavailable: ``sealing_unavailable`` or ``seal_broken``.
    """
    with state.read():
        stack = state.stack(scope)
        touched = {wish.path for wish in wishes} | {path for path, _ in guards}
        known = {path: state.fact(scope, path) for path in touched}
        for path, precondition in guards:
            precondition.check(path, known[path], epoch)
        target = stack if stack or new_stack is None else new_stack()
        if target is None:
            raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
        planned_at = state.revision
        members = MemberFence(state, scope)
        for generation in fences:
            members.fence(generation)
        guards_of_seal: Mapping[RecordKey, int] = {}
        records: tuple[DataKey, ...] = ()
        if sealing is not None:
            seal = state.record(scope, DATA_KEY)
            seal = seal if isinstance(seal, DataKey) else None
            sealed = sealing.seal(target, seal, wishes, known, author.reader)
            wishes, guards_of_seal, records = sealed.wishes, sealed.guards, sealed.records
        leases = {
            wish.path: members.lease(wish, known[wish.path])
            for wish in wishes
            if isinstance(wish, Put)
        }
        results = [
            _result(wish, known[wish.path], leases.get(wish.path, 0), author, now)
            for wish in wishes
        ]
        created = [r.path for r in results if r.outcome == "created"]
        dropped = {r.path for r in results if r.outcome == "deleted"}
        _check_tree(state, scope, created, dropped)
        growth = _growth(results, known, stacks=0 if stack else 1)
        project = state.project_usage(scope.project_id)
        near = admit(quota, project, state.usage(scope) or Usage(0, 0), growth)
    return Plan(
        Transaction(
            target,
            planned_at,
            epoch,
            creates_stack=stack is None,
            expected={path: fact.revision if fact else 0 for path, fact in known.items()},
            creates=tuple(created),
            puts=tuple(r.fact for r in results if r.fact and r.outcome in ("created", "updated")),
            deletes=tuple(r.path for r in results if r.outcome == "deleted"),
            guards={**members.guards, **guards_of_seal},
            records=records,
            act=(
                DeletionAuthor(target.id, author.user_id, author.request_id, tuple(sorted(dropped)))
                if dropped
                else None
            ),
            gate=project.gate if growth.adds and quota != Quota() else None,
        ),
        tuple(results),
        growth,
        near,
    )


def with_leases(plan: Plan, leases: Mapping[str, int]) -> Plan:
    """The same plan, its written facts hung on leases by path."""
    puts = tuple(
        replace(fact, lease=leases[fact.path]) if fact.path in leases else fact
        for fact in plan.commit.puts
    )
    return replace(plan, commit=replace(plan.commit, puts=puts))


def _result(wish: Put | Delete, known: Fact | None, lease: int, author: Author, now: str) -> Result:
    touches_parameter = (known is not None and known.kind == "parameter") or (
        isinstance(wish, Put) and wish.kind == "parameter"
    )
    if touches_parameter and not author.may_set_parameters:
        raise Forbidden(
            f"{quoted(wish.path)} is, or would become, a parameter; only the stack's owners set it.",
            code="parameter_protected",
        )
    if isinstance(wish, Delete):
        return Result(wish.path, "deleted" if known else "absent")
    if known is not None and wish.same_as(known, lease):
        return Result(wish.path, "unchanged", known)
    fact = Fact(
        path=wish.path,
        text=wish.text,
        kind=wish.kind,
        created_at=known.created_at if known else now,
        updated_at=now,
        updated_by=author.user_id,
        request_id=author.request_id,
        ttl=wish.ttl,
        member=wish.member,
        lease=lease,
        version=known.version + 1 if known else 1,
        sealed=wish.sealed,
        readers=wish.readers,
    )
    return Result(wish.path, "updated" if known else "created", fact)


def _growth(results: Sequence[Result], known: Mapping[str, Fact | None], stacks: int) -> Growth:
    facts = size = 0
    for result in results:
        before, after = known[result.path], result.fact
        if result.outcome not in ("unchanged", "absent"):
            facts += bool(after) - bool(before)
            size += (after.size if after else 0) - (before.size if before else 0)
    return Growth(stacks, facts, size)


def _check_tree(state: State, scope: Scope, created: list[str], dropped: set[str]) -> None:
    """A path is a fact or a folder, never both: against what is stored, and inside the batch."""
    new = set(created)
    for path in created:
        above = [
            a for a in ancestors(path) if a not in dropped and (state.fact(scope, a) or a in new)
        ]
        if above:
            raise Conflict(
                f"{quoted(path)} cannot be a fact: {quoted(above[0])} is a fact, and a path is "
                "a fact or a folder, never both. "
                f"Delete {quoted(above[0])} first, or choose another path.",
                code="path_below_fact",
                extra={"path": path, "conflicts_with": above[0]},
            )
        below = state.first_below(scope, path, dropped)
        if below is not None:
            raise Conflict(
                f"{quoted(path)} cannot be a fact: it is a folder, {quoted(below)} lies below it. "
                "Choose another path, or delete what is below.",
                code="path_is_folder",
                extra={"path": path, "conflicts_with": below},
            )
