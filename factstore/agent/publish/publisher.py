"""Publishing facts: only those that changed, in batches, bound to this incarnation of the member.

The path of each fact is on disk before the fact is sent.  A fact that its source has dropped is
therefore deleted even by an agent that was killed and restarted in between.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Union

from factstore.agent.errors import describe
from factstore.agent.publish.sources import CollectedFacts
from factstore.agent.session.membership import Membership
from factstore.agent.system.state_dir import PUBLISHED, StateDir
from factstore.client import Delete, Put, Stack
from factstore.client.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge

LOG = logging.getLogger(__name__)

BATCH_OPERATIONS = 100
BATCH_LENGTH = 512 * 1024  # characters of all values
_REFUSALS = (BadRequest, Conflict, Forbidden, TooLarge)
_NOT_A_MEMBER = ("contextualization.generation_stale", "contextualization.member_missing")

Operation = Union[Put, Delete]


class Publisher:
    """Publishes a member's facts and results.  Several threads may use it.

    :ivar problems: the reason for each fact that the service refused, by path.
    :ivar cause: the cursor of the context that the facts may follow from; None for none.
    """

    def __init__(self, stack: Stack, name: str, membership: Membership, state: StateDir) -> None:
        self._stack = stack
        self._name = name
        self._membership = membership
        self._state = state
        self._facts: dict[str, Any] = {}
        self._source_of: dict[str, str] = {}
        self._results: dict[str, Any] = {}
        # As on disk: the facts that the service may have, with their sources.
        self._possibly_published: dict[str, str] = dict(state.read(PUBLISHED) or {})
        self._sent: dict[str, str] = {}
        self._sent_generation: str | None = None
        self._refused: dict[str, str] = {}
        self._refused_for_now: set[str] = set()
        self._lock = threading.RLock()
        self.problems: dict[str, str] = {}
        self.cause: str | None = None

    def set_facts(self, collected: CollectedFacts) -> None:
        """Set the facts for the next :meth:`publish`, which deletes those that were withdrawn."""
        with self._lock:
            kept = {
                path: source
                for path, source in self._possibly_published.items()
                if path not in collected.facts and not collected.is_withdrawn(path, source)
            }
            self._facts = {
                **{path: self._facts[path] for path in kept if path in self._facts},
                **collected.facts,
            }
            self._source_of = {**kept, **collected.source_of}
            for path in self._refused_for_now:  # the quota or the path may be free by now
                self._refused.pop(path, None)
            self._refused_for_now.clear()

    def set_results(self, results: Mapping[str, Any]) -> None:
        """Set facts below ``results/<member>/``, whose changes do not trigger reconciliation.

        Results that were published before and are not in *results* remain until the member departs.
        """
        with self._lock:
            self._results |= results

    def publish(self) -> None:
        """Send the changes since the last call.

        :raises FactstoreError: the service cannot answer now, or the agent is no longer a member.
        """
        with self._lock:
            operations = self._operations()
            generation = self._membership.generation
            if not operations or generation is None:
                return
            possibly_published = {**self._possibly_published, **self._source_of}
            if possibly_published != self._possibly_published:
                self._state.try_write(PUBLISHED, possibly_published)
                self._possibly_published = possibly_published
            for batch in _batches(operations):
                self._send(batch, generation)
            # Withdrawn facts are now deleted. If that was refused, they expire with the member.
            if self._possibly_published != self._source_of:
                self._state.try_write(PUBLISHED, dict(self._source_of))
                self._possibly_published = dict(self._source_of)

    def _operations(self) -> list[Operation]:
        if self._sent_generation != self._membership.generation:
            # The facts of the former incarnation were deleted with it.
            self._sent.clear()
            self._refused.clear()
            self.problems = {}
            self._sent_generation = self._membership.generation
        operations: list[Operation] = [
            Delete(f"nodes/{self._name}/{path}")
            for path in sorted(self._possibly_published.keys() - self._source_of.keys())
        ]
        values = {f"nodes/{self._name}/{path}": value for path, value in self._facts.items()}
        values |= {f"results/{self._name}/{path}": value for path, value in self._results.items()}
        for path, value in values.items():
            text = json.dumps(value, sort_keys=True)
            if text not in (self._sent.get(path), self._refused.get(path)):
                operations.append(Put(path, value, member=self._name))
        return operations

    def _send(self, batch: Sequence[Operation], generation: str) -> None:
        """Send a batch; if it is refused, send its operations except those that cause the refusal.

        :raises FactstoreError: the service cannot answer now, or the agent is no longer a member.
        """
        try:
            self._stack.acting_on(self.cause).batch(batch, generation=generation)
        except NotFound:
            self._membership.heartbeat(None)  # finds out whether the agent is still a member
            raise
        except _REFUSALS as error:
            if error.code in _NOT_A_MEMBER:
                self._membership.heartbeat(None)
                raise
            if len(batch) > 1:
                half = len(batch) // 2
                self._send(batch[:half], generation)
                self._send(batch[half:], generation)
                return
            self._note_refusal(batch[0], error)
            return
        for operation in batch:
            self.problems.pop(operation.path, None)
            self._refused.pop(operation.path, None)
            if isinstance(operation, Put):
                self._sent[operation.path] = json.dumps(operation.value, sort_keys=True)
            else:
                self._sent.pop(operation.path, None)

    def _note_refusal(self, operation: Operation, error: Exception) -> None:
        LOG.warning("the service refused %s: %s", operation.path, describe(error))
        self.problems[operation.path] = describe(error)
        if isinstance(operation, Put):
            self._refused[operation.path] = json.dumps(operation.value, sort_keys=True)
            if isinstance(error, (Conflict, Forbidden)):
                self._refused_for_now.add(operation.path)


def _batches(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Split operations into batches that the service accepts.

    Deletions are the first operations: they may free the path of a fact that follows.
    """
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
