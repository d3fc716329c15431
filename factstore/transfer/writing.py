"""Writes facts into a stack, only where they differ, and reports the differences."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from factstore.client import Fact, Forbidden, Guard, NotFound, Put, Stack
from factstore.client.batch import split_batches
from factstore.transfer.document import Alarm, Waiter


@dataclass(frozen=True)
class Difference:
    """The effect of an import on one fact: ``create``, ``change`` or ``keep``."""

    path: str
    action: str
    old: Any = None
    new: Any = None


@dataclass(frozen=True)
class Plan:
    """The differences between facts and a stack, and the writes that remove them."""

    differences: tuple[Difference, ...]
    steps: tuple[tuple[Guard, Put], ...]


def moved(
    puts: Iterable[Put], *, source: str = "", folder: str = "", kind: str | None = None
) -> list[Put]:
    """Return writes below another folder.

    :param source: the folder they are in, which is replaced.
    :param kind: a kind for those that have none.
    """
    cut = len(source) + 1 if source else 0
    found = []
    for put in puts:
        rest = put.path[cut:] if put.path != source else put.path.rpartition("/")[2]
        path = f"{folder}/{rest}" if folder else rest
        found.append(replace(put, path=path, kind=put.kind or kind))
    return found


def compare(stack: Stack, puts: Iterable[Put]) -> Plan:
    """Return how facts differ from those of a stack, which need not exist."""
    try:
        existing = {fact.path: fact for fact in stack.snapshot().facts}
    except NotFound:
        existing = {}
    differences, steps = [], []
    for put in puts:
        fact = existing.get(put.path)
        if fact is None:
            differences.append(Difference(put.path, "create", None, _shown(put)))
            steps.append((Guard.absent(put.path), put))
        elif _equal(stack, fact, put):
            differences.append(Difference(put.path, "keep", _shown(put), _shown(put)))
        else:
            old = None if fact.sensitive else fact.value
            differences.append(Difference(put.path, "change", old, _shown(put)))
            kind = put.kind or fact.kind
            steps.append((Guard.etag(put.path, fact.etag), replace(put, kind=kind)))
    return Plan(tuple(differences), tuple(steps))


def _shown(put: Put) -> Any:
    return None if put.sensitive else put.value


def _equal(stack: Stack, fact: Fact, put: Put) -> bool:
    if (fact.kind, fact.sensitive) != (put.kind or fact.kind, put.sensitive):
        return False
    if put.ttl is not None and fact.ttl != put.ttl:
        return False
    value = fact.value
    if fact.sensitive:
        try:
            value = stack.get(fact.path).value
        except (Forbidden, NotFound):
            return False
    return _text(value) == _text(put.value)


def _text(value: Any) -> str:
    # 1, 1.0 and true differ in the service, but are equal in Python.
    return json.dumps(value, sort_keys=True)


def carry_out(
    stack: Stack, plan: Plan, progress: Callable[[int, int], None] = lambda done, of: None
) -> None:
    """Write the differences in batches.

    :param progress: called with the number of facts written and of all facts to write.
    :raises PreconditionFailed: a fact has been changed since the comparison; compare again.
    """
    done = 0
    for batch in split_batches(plan.steps):
        stack.batch([put for _, put in batch], [guard for guard, _ in batch])
        done += len(batch)
        progress(done, len(plan.steps))


def write_conditions(
    stack: Stack, waiters: Iterable[Waiter], alarms: Iterable[Alarm]
) -> Iterator[str]:
    """Arm the waiters and set the alarms that the stack does not have, and yield a line for each."""
    yield from (f"waiter {name} is armed" for name in _arm(stack, tuple(waiters)))
    yield from (f"alarm {name} is set" for name in _set_alarms(stack, tuple(alarms)))


def _arm(stack: Stack, waiters: Sequence[Waiter]) -> Iterator[str]:
    existing = {record.name for record in stack.waiters()} if waiters else ()
    for waiter in waiters:
        if waiter.name in existing:
            continue
        stack.waiter(waiter.name).arm(
            waiter.success,
            failure=waiter.failure or None,
            timeout=waiter.timeout,
            create_only=True,
        )
        yield waiter.name


def _set_alarms(stack: Stack, alarms: Sequence[Alarm]) -> Iterator[str]:
    existing = {record.name for record in stack.alarms()} if alarms else ()
    for alarm in alarms:
        if alarm.name in existing:
            continue
        stack.alarm(alarm.name).set(
            alarm.condition,
            for_seconds=alarm.seconds,
            quiet=alarm.quiet,
            repeat=alarm.repeat,
            no_data=alarm.no_data,
            create_only=True,
        )
        yield alarm.name
