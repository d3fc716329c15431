"""The state at past revisions, from which the events before a snapshot are made again.

It has the contents of a state, but evaluates no condition: a worker has done so when the revisions
were new.
"""

from __future__ import annotations

from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State


class PastState(State):
    """A state that moves forward to the snapshot with which another one has begun."""

    def _evaluate(self, stack_state: StackState, revision: int) -> None:
        """Do nothing."""

    def complete(self, state: State) -> None:
        """Let a state that began where this one ended know what its snapshot did not show.

        That is when each stack has last changed, and which of its members have ended.
        """
        with state.read():
            for stack_state in state.all_stacks():
                past = self.stack_state(stack_state.stack.id)
                if past is not None:
                    stack_state.complete(past, self.revision)
