"""A set of facts in a stack: what differs from the wanted set, and the batches that write the
difference.

Other writers own their facts.  An :class:`Ownership` decides which facts may be overwritten and
deleted, and guards keep the decision true until the write: a fact that changed in between is never
overwritten. This module does not know Heat.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from factstore.client import Delete, Fact, Guard, Put, Stack, errors
from factstore.client.batch import split_batches

_ATTEMPTS = 5

Digests = Mapping[str, str]
Step = tuple[Guard, Put | Delete]


class OwnedByOthers(Exception):
    """Facts that may not be overwritten exist at some of the paths.

    :param paths: the paths of those facts.
    """

    def __init__(self, paths: list[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths


@dataclass(frozen=True)
class Ownership:
    """The rules for writing a set of facts and for recognising the existing facts that belong to it.

    :param put: returns the write of a value at a path.
    :param may_overwrite: returns whether an existing fact may be overwritten.
    :param is_ours: returns whether a fact is still the one that was written with a digest.
    """

    put: Callable[[str, Any], Put]
    may_overwrite: Callable[[Fact], bool]
    is_ours: Callable[[Fact, str], bool]


def digest(value: Any) -> str:
    """Return a digest that differs where the service sees a difference: 1, 1.0 and true differ."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def digests(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each value, by path."""
    return {path: digest(value) for path, value in values.items()}


def plan(
    found: Mapping[str, Fact], wanted: Mapping[str, Any], former: Digests, ownership: Ownership
) -> list[Step]:
    """Return the guarded writes after which *wanted* exists, and *former* only where it is wanted.

    :param found: the facts that exist at any of these paths.
    :raises OwnedByOthers: facts that may not be overwritten exist at wanted paths.
    """
    blocked = [p for p in wanted if p in found and not ownership.may_overwrite(found[p])]
    if blocked:
        raise OwnedByOthers(sorted(blocked))
    steps: list[Step] = [
        (Guard.etag(path, found[path].etag), Delete(path))
        for path, known in former.items()
        if path not in wanted and path in found and ownership.is_ours(found[path], known)
    ]
    for path, value in wanted.items():
        put = ownership.put(path, value)
        if path not in found:
            steps.append((Guard.absent(path), put))
        elif not matches(found[path], put):
            steps.append((Guard.etag(path, found[path].etag), put))
    return steps


def matches(fact: Fact, put: Put) -> bool:
    """Return whether a write would leave the fact as it is."""
    return (
        (fact.kind, fact.sensitive) == (put.kind or "observed", put.sensitive)
        and (fact.ttl, fact.member) == (put.ttl, put.member)
        and set(fact.readers) == set(put.readers)
        and digest(fact.value) == digest(put.value)
    )


def reconcile(
    stack: Stack,
    wanted: Mapping[str, Any],
    former: Digests,
    ownership: Ownership,
    *,
    note: Callable[[Digests], None] = lambda _: None,
) -> list[Fact]:
    """Write the wanted facts, delete the former ones that are no longer wanted, and return these.

    :param former: facts that may have been written before.
    :param note: called before each batch with the digests of what it writes.
    :raises OwnedByOthers: facts that may not be overwritten exist at wanted paths.  Nothing was
        written, unless they were created between two batches.
    :raises NotFound: the stack does not exist.
    """
    deleted: list[Fact] = []
    for attempt in range(_ATTEMPTS):
        found = read_facts(stack, {*wanted, *former})
        steps = plan(found, wanted, former, ownership)
        try:
            for batch in split_batches(steps):
                puts = [operation for _, operation in batch if isinstance(operation, Put)]
                note({put.path: digest(put.value) for put in puts})
                stack.batch(
                    [operation for _, operation in batch],
                    [guard for guard, _ in batch],
                    idempotency_key=uuid.uuid4().hex,
                )
                deleted += [found[each.path] for _, each in batch if isinstance(each, Delete)]
        except errors.PreconditionFailed:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            break
    return deleted


def restore(stack: Stack, facts: Iterable[Fact]) -> None:
    """Write deleted facts again, except those that exist by now or whose value could not be read."""
    for fact in facts:
        if fact.sensitive and fact.value is None:
            continue
        put = Put(
            fact.path,
            fact.value,
            kind=fact.kind,
            sensitive=fact.sensitive,
            readers=tuple(fact.readers),
        )
        with suppress(errors.PreconditionFailed):
            stack.batch([put], [Guard.absent(fact.path)], idempotency_key=uuid.uuid4().hex)


def read_facts(stack: Stack, paths: set[str]) -> dict[str, Fact]:
    """Return the facts at these paths; sensitive ones with their values if the caller may read them.

    :raises NotFound: the stack does not exist.
    """
    if not paths:
        return {}
    facts = stack.snapshot(_common_folder(paths)).facts
    return {fact.path: _revealed(stack, fact) for fact in facts if fact.path in paths}


def _revealed(stack: Stack, fact: Fact) -> Fact:
    if not fact.sensitive:
        return fact
    try:
        return stack.get(fact.path)
    except (errors.Forbidden, errors.NotFound):
        return fact


def _common_folder(paths: set[str]) -> str:
    """Return the deepest folder that contains all paths, so that little of a large stack is read."""
    common: list[str] = []
    for segments in zip(*(path.split("/") for path in paths), strict=False):
        if len(set(segments)) > 1:
            break
        common.append(segments[0])
    return "/".join(common)
