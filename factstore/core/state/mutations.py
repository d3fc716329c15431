"""Applies mutations to the stacks, and returns the changes that watchers see."""

from __future__ import annotations

from factstore.core.model.event import (
    Change,
    DropFact,
    DropRecord,
    DropStack,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.grant import Grant
from factstore.core.model.member import Member
from factstore.core.state.deletion_change import (
    DeletionAuthors,
    deletion_change,
    stack_deletion,
)
from factstore.core.state.stack_index import StackIndex
from factstore.core.state.stack_state import StackState


def apply_mutations(
    stacks: StackIndex, step: Step, authors: DeletionAuthors
) -> dict[StackState, list[Change]]:
    """Apply the mutations of a step; return what watchers see, for each stack that it touches.

    :param authors: those of the step's deletions.
    """
    changes: dict[StackState, list[Change]] = {}
    stack_state: StackState | None = None
    last_id, found = "", list[Change]()
    for mutation in step.mutations:
        if type(mutation) is not PutFact:
            last_id = ""  # it may have added or removed the stack
            touched, change = apply_mutation(stacks, mutation, authors, step.revision)
            if touched is not None:
                changes.setdefault(touched, []).extend([change] if change else ())
            continue

        if mutation.stack_id != last_id:  # nearly all are facts, many of one stack
            stack_state = stacks.by_id.get(last_id := mutation.stack_id)
            if stack_state is not None:
                found = changes.setdefault(stack_state, [])
        if stack_state is None:
            continue  # a remainder of a deleted stack
        fact = mutation.fact
        previous, by = stack_state.put(fact), fact.updated_by
        found.append(Change("fact.put", fact.path, fact, previous, by, fact.request_id))
    return changes


def apply_mutation(
    stacks: StackIndex, mutation: Mutation, authors: DeletionAuthors, revision: int
) -> tuple[StackState | None, Change | None]:
    """Apply any mutation but PutFact; return the stack that it touches, and what watchers see."""
    match mutation:
        case DropFact(stack_id, path):
            stack_state = stacks.by_id.get(stack_id)
            deleted = stack_state.drop(path, revision) if stack_state else None
            if stack_state is None or deleted is None:
                return None, None
            stacks.last_deletion = revision
            members = stack_state.records(Member)
            return stack_state, deletion_change(deleted, authors.get(stack_id, ()), members)

        case PutRecord(stack_id, record):
            stack_state = stacks.to_change(stack_id)
            if stack_state is not None:
                if isinstance(record, Grant):
                    stacks.last_grant_change = revision
                change = stack_state.put_record(record)
                return None if record.silent else stack_state, change

        case DropRecord(stack_id, key):
            stack_state = stacks.to_change(stack_id)
            if stack_state is not None:
                stacks.last_deletion = revision
                if key.kind is Grant:
                    stacks.last_grant_change = revision
                change = stack_state.drop_record(key, revision)
                return None if key.kind.silent else stack_state, change

        case PutStack(stack):
            stacks.put(stack)

        case DropStack(scope):
            stack_state = stacks.drop(scope)
            if stack_state is not None:
                stacks.last_deletion = stacks.last_grant_change = revision
                stack_state.end()
                return stack_state, stack_deletion(authors.get(stack_state.stack.id, ()))
    return None, None
