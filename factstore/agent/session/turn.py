"""The turns of this member, each of which one process of the instance uses at a time.

The service has one turn for a member and a queue, so the processes of an instance agree by the lock of
a file in the state directory.  The file contains a mark while the turn may exist.  A mark without a
lock is that of a process that was killed, whose turn the agent gives back.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Collection

from factstore.agent.config.settings import AgentOptions
from factstore.agent.errors import RETRYABLE, describe
from factstore.agent.system.state_dir import StateDir
from factstore.client import Stack, TurnRecord
from factstore.client.errors import Conflict, NotFound

LOG = logging.getLogger(__name__)

_PREFIX, _SUFFIX = "turn-", ".lock"
_MARK = b"taken\n"


class MemberTurn:
    """The turn of this member in one queue.

    :raises BadRequest: the name of the queue is not one segment.
    """

    def __init__(self, stack: Stack, member: str, queue: str, state: StateDir) -> None:
        stack.turn(queue, member)
        self.queue = queue
        self._stack = stack
        self._member = member
        self._state = state
        self._handle: int | None = None

    @property
    def handle(self) -> int | None:
        """The file descriptor of the lock; a program that inherits it has the lock too."""
        return self._handle

    def try_lock(self) -> bool:
        """Take the lock; return False if another process has it.

        :raises OSError: the file cannot be opened.
        """
        if self._handle is None:
            self._handle = self._state.try_lock(f"{_PREFIX}{self.queue}{_SUFFIX}")
        return self._handle is not None

    def take(self, generation: str, *, max_parallel: int, wait: float) -> TurnRecord:
        """Take the turn, or keep it, and wait until it is held.  The caller has the lock.

        :raises FactstoreError: see :meth:`factstore.client.Turn.take`.
        """
        assert self._handle is not None  # noqa: S101 - the caller has the lock
        os.pwrite(self._handle, _MARK, 0)
        turn = self._stack.turn(self.queue, self._member, generation=generation)
        return turn.take(max_parallel=max_parallel, wait=wait)

    def is_held(self, taken: TurnRecord) -> bool:
        """Return True if the service confirms that the turn is held.

        :raises FactstoreError: the service cannot answer now.
        """
        try:
            found = self._stack.turn(self.queue, self._member).show()
        except NotFound:
            return False
        return found is not None and found.holds and found.revision == taken.revision

    def give_back(self, generation: str) -> None:
        """End the turn and release the lock.

        :raises FactstoreError: the service cannot answer now; the agent gives the turn back later.
        """
        try:
            # The turn of another incarnation has ended, or ends with its lease.
            with contextlib.suppress(Conflict):
                self._stack.turn(self.queue, self._member, generation=generation).give_back()
            self._clear_mark()
        finally:
            self.unlock()

    def keep(self) -> None:
        """Release the lock without ending the turn, which then ends with the member."""
        self._clear_mark()
        self.unlock()

    def unlock(self) -> None:
        """Release the lock, also for programs that have inherited it."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)

    def _clear_mark(self) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)


def give_back_abandoned(
    stack: Stack, options: AgentOptions, generation: str, *, except_for: Collection[str]
) -> None:
    """Give back the turns of processes that were killed.

    :param except_for: queues whose turns are left alone.
    """
    state = StateDir(options.state_dir, (options.stack, options.member))
    for file in state.directory.glob(f"{_PREFIX}*{_SUFFIX}"):
        queue = file.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        if queue in except_for or not file.stat().st_size:
            continue
        turn = MemberTurn(stack, options.member, queue, state)
        if not turn.try_lock():
            continue
        LOG.warning("giving back the turn in queue %s of a process that was killed", queue)
        try:
            turn.give_back(generation)
        except RETRYABLE as error:
            LOG.warning("the turn in queue %s cannot be given back: %s", queue, describe(error))
