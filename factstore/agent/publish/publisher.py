"""Telling facts: only what changed, in batches, each bound to this incarnation of the member.

What the service was told is on disk by name before it is told, so that a fact which vanished from its
source is taken back even by an agent that was killed in between.  One fact that the service refuses
does not keep the others from being told.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from factstore.agent.errors import told
from factstore.agent.publish.sources import Collected
from factstore.agent.session.membership import Membership
from factstore.agent.system.state_dir import PUBLISHED, StateDir
from factstore.client import Delete, Put, Stack
from factstore.client.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge

LOG = logging.getLogger(__name__)

BATCH_OPERATIONS = 100
BATCH_LENGTH = 512 * 1024  # characters of all values
_REFUSALS = (BadRequest, Conflict, Forbidden, TooLarge)
_ENDED = ("contextualization.generation_stale", "contextualization.member_missing")

Operation = Put | Delete


class Publisher:
    """Keeps a member's facts at the service as they are here.  Threads may share it.

    :ivar problems: by path, why the service refused a fact.
    """

    def __init__(self, stack: Stack, name: str, membership: Membership, state: StateDir) -> None:
        self._stack = stack
        self._name = name
        self._membership = membership
        self._state = state
        self._wanted: dict[str, Any] = {}
        self._sources: dict[str, str] = {}
        self._results: dict[str, Any] = {}
        self._standing: dict[str, str] = dict(state.read(PUBLISHED) or {})
        self._told: dict[str, str] = {}
        self._told_as: str | None = None
        self._refused: dict[str, str] = {}
        self._again: set[str] = set()
        self._lock = threading.RLock()
        self.problems: dict[str, str] = {}

    def offer(self, collected: Collected) -> None:
        """Have these facts be told by the next :meth:`publish`, and those that vanished taken back."""
        with self._lock:
            kept = {
                path: source
                for path, source in self._standing.items()
                if path not in collected.facts and not collected.vanished(path, source)
            }
            self._wanted = {
                **{path: self._wanted[path] for path in kept if path in self._wanted},
                **collected.facts,
            }
            self._sources = {**kept, **collected.sources}
            for path in self._again:  # a quota may have room by now, a path may be free
                self._refused.pop(path, None)
            self._again.clear()

    def report(self, results: Mapping[str, Any]) -> None:
        """Have these be told below ``results/<member>/``, where they wake nobody who converges.

        What was told there before stands until the member goes.
        """
        with self._lock:
            self._results |= results

    @property
    def due(self) -> bool:
        """Whether there is anything to tell."""
        with self._lock:
            return bool(self._operations())

    def publish(self) -> None:
        """Tell what is to be told.

        :raises FactstoreError: not now, or it is no member any more.
        """
        with self._lock:
            operations = self._operations()
            generation = self._membership.generation
            if not operations or generation is None:
                return
            standing = {**self._standing, **self._sources}
            if standing != self._standing:
                self._state.keep(PUBLISHED, standing)
                self._standing = standing
            for batch in _batches(operations):
                self._send(batch, generation)
            # What vanished was taken back, unless that was refused: then it goes with the member.
            if self._standing != self._sources:
                self._state.keep(PUBLISHED, dict(self._sources))
                self._standing = dict(self._sources)

    def _operations(self) -> list[Operation]:
        if self._told_as != self._membership.generation:  # what was told went with who told it
            self._told.clear()
            self._refused.clear()
            self.problems = {}
            self._told_as = self._membership.generation
        operations: list[Operation] = [
            Delete(f"nodes/{self._name}/{path}")
            for path in sorted(self._standing.keys() - self._sources.keys())
        ]
        wanted = {f"nodes/{self._name}/{path}": value for path, value in self._wanted.items()}
        wanted |= {f"results/{self._name}/{path}": value for path, value in self._results.items()}
        for path, value in wanted.items():
            text = json.dumps(value, sort_keys=True)
            if text not in (self._told.get(path), self._refused.get(path)):
                operations.append(Put(path, value, member=self._name))
        return operations

    def _send(self, batch: Sequence[Operation], generation: str) -> None:
        """Carry a batch out; if it is refused, all of it that is not.

        :raises FactstoreError: not now, or it is no member any more.
        """
        try:
            self._stack.batch(batch, generation=generation)
        except NotFound:
            self._membership.beat(None)  # which finds out
            raise
        except _REFUSALS as error:
            if error.code in _ENDED:
                self._membership.beat(None)  # which finds out
                raise
            if len(batch) > 1:
                half = len(batch) // 2
                self._send(batch[:half], generation)
                self._send(batch[half:], generation)
                return
            (operation,) = batch
            LOG.warning("the service refuses %s: %s", operation.path, told(error))
            self.problems[operation.path] = told(error)
            if isinstance(operation, Put):
                self._refused[operation.path] = json.dumps(operation.value, sort_keys=True)
                if isinstance(error, Conflict | Forbidden):
                    self._again.add(operation.path)
            return
        for operation in batch:
            self.problems.pop(operation.path, None)
            self._refused.pop(operation.path, None)
            if isinstance(operation, Put):
                self._told[operation.path] = json.dumps(operation.value, sort_keys=True)
            else:
                self._told.pop(operation.path, None)


def _batches(operations: Sequence[Operation]) -> list[list[Operation]]:
    """In parts that are small enough; what is taken back comes first, for it may be in the way."""
    batches: list[list[Operation]] = [[]]
    length = 0
    for operation in operations:
        size = len(json.dumps(operation.document()))
        if len(batches[-1]) == BATCH_OPERATIONS or (batches[-1] and length + size > BATCH_LENGTH):
            batches.append([])
            length = 0
        batches[-1].append(operation)
        length += size
    return batches
