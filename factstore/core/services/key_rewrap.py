"""Wrapping the data keys of all stacks with the newest key, while the service runs.

No fact is written, so no watcher is woken.  If another process writes a data key at the same time, it
is checked again.
"""

from __future__ import annotations

from dataclasses import replace

from factstore.core.errors import OutcomeUnknown, SealBroken, Unavailable
from factstore.core.model.data_key import DataKey
from factstore.core.model.event import PutRecord, PutStack
from factstore.core.model.fact import Scope, Stack
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.subscription import Subscription
from factstore.core.model.unnamed import unnamed_scope
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.maintenance import RewrapDataKey, RewrapSubscriptionKey
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.state.state import State


@quick_dataclass(frozen=True, slots=True)
class KeyRewrapResult:
    """The data keys that were found.

    :param renewed: the number of data keys that were wrapped again.
    :param current: the number that were wrapped with the newest key already.
    :param broken: stacks whose data key cannot be unwrapped.
    :param subscriptions: projects and ids of subscriptions whose data key cannot be unwrapped.
    """

    renewed: int = 0
    current: int = 0
    broken: tuple[Stack, ...] = ()
    subscriptions: tuple[tuple[str, str], ...] = ()


class KeyRewrap:
    """Wraps the data keys of all stacks.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        encryption: Encryption,
        timeout: float,
        transactor: Transactor,
    ) -> None:
        self._store = store
        self._clock = clock
        self._encryption = encryption
        self._timeout = timeout
        self._transactor = transactor

    def run(self) -> KeyRewrapResult:
        """Wrap every data key that exists now, and return the counts.

        :raises Unavailable: the store cannot be reached, or other writers won every attempt.
        """
        result = KeyRewrapResult()
        state = self._store.refresh(self._clock.monotonic() + self._timeout)
        for scope in _with_data_key(state):
            try:
                renewed = self._run(RewrapDataKey(scope, self._encryption))
            except SealBroken:
                stack = self._store.state().stack(scope)
                result = replace(result, broken=(*result.broken, *([stack] if stack else [])))
                continue
            result = _counted(result, renewed)
        for project_id, found in state.unnamed_records(Subscription):
            if not found.wrapped_key:
                continue
            scope = unnamed_scope(project_id)
            try:
                renewed = self._run(RewrapSubscriptionKey(scope, found.id, self._encryption))
            except SealBroken:
                lost = (*result.subscriptions, (project_id, found.id))
                result = replace(result, subscriptions=lost)
                continue
            result = _counted(result, renewed)
        return result

    def _run(self, operation: RewrapDataKey | RewrapSubscriptionKey) -> bool:
        """Return True if a data key had to be wrapped again."""
        try:
            return self._transactor.run(operation).outcome
        except OutcomeUnknown:  # a retry finds out from the data key
            try:
                return self._transactor.run(operation).outcome
            except OutcomeUnknown as error:
                raise Unavailable(
                    "The store did not report whether a data key was written. Run it again."
                ) from error


def _counted(result: KeyRewrapResult, renewed: bool) -> KeyRewrapResult:
    return replace(result, renewed=result.renewed + renewed, current=result.current + (not renewed))


def _with_data_key(state: State) -> list[Scope]:
    """Return the scopes of stacks that have a data key."""
    stacks: dict[str, Scope] = {}
    found = []
    for mutation in state.mutations():
        if isinstance(mutation, PutStack):
            stacks[mutation.stack.id] = mutation.stack.scope
        elif isinstance(mutation, PutRecord) and isinstance(mutation.record, DataKey):
            found.append(stacks[mutation.stack_id])
    return found
