"""Having the data keys of all stacks wrapped with the newest key, beside a service that runs.

No fact is written, so nobody is woken.  A data key that another writes meanwhile is looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from factstore.core.errors import OutcomeUnknown, SealBroken, Unavailable
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.event import PutRecord, PutStack
from factstore.core.model.fact import Scope, Stack
from factstore.core.operations.encryption import Encryption
from factstore.core.ports import Clock, Store, Transaction
from factstore.core.state.state import State


@dataclass(frozen=True, slots=True)
class KeyRewrapResult:
    """What was found.

    :param renewed: how many data keys are wrapped with the newest key now, and were not before.
    :param current: how many were already.
    :param broken: stacks whose data key cannot be had.
    """

    renewed: int = 0
    current: int = 0
    broken: tuple[Stack, ...] = ()


class KeyRewrap:
    """Goes through all stacks.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, clock: Clock, sealing: Encryption, timeout: float) -> None:
        self._store = store
        self._clock = clock
        self._sealing = sealing
        self._timeout = timeout

    def run(self) -> KeyRewrapResult:
        """See to every data key that there is now.

        :raises Unavailable: the store cannot be asked, or others kept winning.
        """
        made = KeyRewrapResult()
        for scope in _sealed(self._store.refresh(self._deadline())):
            try:
                renewed = self._renew(scope)
            except SealBroken:
                stack = self._store.state().stack(scope)
                made = replace(made, broken=(*made.broken, *([stack] if stack else [])))
                continue
            made = replace(
                made, renewed=made.renewed + renewed, current=made.current + (not renewed)
            )
        return made

    def _renew(self, scope: Scope) -> bool:
        """Whether a stack's data key had to be wrapped anew."""
        deadline, state = self._deadline(), self._store.state()
        while True:
            with state.read():
                stack, seal, at = state.stack(scope), state.record(scope, DATA_KEY), state.revision
            if stack is None or not isinstance(seal, DataKey):
                return False  # it is gone
            new = self._sealing.rewrapped(stack, seal)
            if new is None:
                return False
            guards = {DATA_KEY: seal.revision}
            try:
                commit = Transaction(stack, at, state.epoch, guards=guards, records=(new,))
                if self._store.commit(commit, deadline) is not None:
                    return True
            except OutcomeUnknown:
                pass  # what it came to shows when it is looked at again
            if self._clock.monotonic() >= deadline:
                raise Unavailable("others kept changing a stack's data key; try again.")
            state = self._store.refresh(deadline)

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout


def _sealed(state: State) -> list[Scope]:
    """The stacks that have a data key."""
    stacks: dict[str, Scope] = {}
    found = []
    for mutation in state.mutations():
        if isinstance(mutation, PutStack):
            stacks[mutation.stack.id] = mutation.stack.scope
        elif isinstance(mutation, PutRecord) and isinstance(mutation.record, DataKey):
            found.append(stacks[mutation.stack_id])
    return found
