"""A mapping of facts and the stack that is to hold them: what differs, and how that is mended.

Facts that others wrote are theirs.  Which are is told by two questions that a :class:`Keeping` answers;
what is decided on them is guarded by etags, so that nothing is overwritten that came in between.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factstore.client import Delete, Fact, Guard, Put, Stack, errors

_BATCH_PARTS = 100  # operations and guards, each operation having one guard
_BATCH_BYTES = 900_000  # of the 1 MiB that a body may have
_ATTEMPTS = 5

Digests = Mapping[str, str]
Step = tuple[Guard, Put | Delete]


class InTheWay(Exception):
    """Facts of others stand where some are to be written.

    :param paths: of those facts.
    """

    def __init__(self, paths: list[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths


@dataclass(frozen=True)
class Keeping:
    """How facts are kept.

    :param put: the write of a path and a value.
    :param yields: whether a fact that stands already may be overwritten.
    :param owns: whether a fact is still what was once written with this digest.
    """

    put: Callable[[str, Any], Put]
    yields: Callable[[Fact], bool]
    owns: Callable[[Fact, str], bool]


def digest(value: Any) -> str:
    """Equal for values that the service holds equal: 1, 1.0 and true differ."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def digests(values: Mapping[str, Any]) -> dict[str, str]:
    """The digest of each value, by path."""
    return {path: digest(value) for path, value in values.items()}


def plan(
    found: Mapping[str, Fact], wanted: Mapping[str, Any], former: Digests, keeping: Keeping
) -> list[Step]:
    """What is to be done so that *wanted* holds, and nothing is left of *former* beside it.

    :param found: the facts that stand at any of these paths.
    :raises InTheWay: facts of others stand where some are to be written.
    """
    blocked = [path for path in wanted if path in found and not keeping.yields(found[path])]
    if blocked:
        raise InTheWay(sorted(blocked))
    steps: list[Step] = [
        (Guard.etag(path, found[path].etag), Delete(path))
        for path, known in former.items()
        if path not in wanted and path in found and keeping.owns(found[path], known)
    ]
    for path, value in wanted.items():
        put = keeping.put(path, value)
        if path not in found:
            steps.append((Guard.absent(path), put))
        elif not stands(found[path], put):
            steps.append((Guard.etag(path, found[path].etag), put))
    return steps


def stands(fact: Fact, put: Put) -> bool:
    """Whether a fact is what a write would make of it."""
    return (
        (fact.kind, fact.sensitive) == (put.kind or "observed", put.sensitive)
        and set(fact.readers) == set(put.readers)
        and digest(fact.value) == digest(put.value)
    )


def reconcile(
    stack: Stack,
    wanted: Mapping[str, Any],
    former: Digests,
    keeping: Keeping,
    *,
    note: Callable[[Digests], None] = lambda _: None,
) -> None:
    """Write what is wanted, and delete what is wanted no more.

    :param former: what may have been written before.
    :param note: called with what a batch is about to write.
    :raises InTheWay: facts of others stand where some are to be written; nothing was written, unless
        they came while there was more than one batch to write.
    :raises NotFound: there is no such stack, and there is something to look for.
    """
    for attempt in range(_ATTEMPTS):
        steps = plan(standing(stack, {*wanted, *former}), wanted, former, keeping)
        try:
            for batch in _batches(steps):
                puts = [operation for _, operation in batch if isinstance(operation, Put)]
                note({put.path: digest(put.value) for put in puts})
                stack.batch(
                    [operation for _, operation in batch],
                    [guard for guard, _ in batch],
                    idempotency_key=uuid.uuid4().hex,
                )
        except errors.PreconditionFailed:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def standing(stack: Stack, paths: set[str]) -> dict[str, Fact]:
    """The facts at these paths, sensitive ones with their values as far as the caller may see them.

    :raises NotFound: there is no such stack, and paths are asked for.
    """
    if not paths:
        return {}
    facts = stack.snapshot(_folder(paths)).facts
    return {fact.path: _opened(stack, fact) for fact in facts if fact.path in paths}


def _opened(stack: Stack, fact: Fact) -> Fact:
    if not fact.sensitive:
        return fact
    try:
        return stack.get(fact.path)
    except (errors.Forbidden, errors.NotFound):
        return fact


def _folder(paths: set[str]) -> str:
    """The deepest path that covers all, so that little is read of a large stack."""
    common: list[str] = []
    for segments in zip(*(path.split("/") for path in paths), strict=False):
        if len(set(segments)) > 1:
            break
        common.append(segments[0])
    return "/".join(common)


def _batches(steps: list[Step]) -> Iterator[list[Step]]:
    batch: list[Step] = []
    size = 0
    for step in steps:
        weight = sum(len(json.dumps(part.document())) for part in step)
        if batch and (2 * len(batch) + 2 > _BATCH_PARTS or size + weight > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(step)
        size += weight
    if batch:
        yield batch
