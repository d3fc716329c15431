"""Looking at a stack: again whenever something moved, and at what it was on an earlier page."""

from __future__ import annotations

from collections.abc import Iterator

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.state.state import State


def states(
    store: Store,
    events: EventSource,
    clock: Clock,
    scope: Scope,
    *,
    wait: float,
    timeout: float,
    stale: bool = False,
    stirs: bool = False,
) -> Iterator[State]:
    """The state as it is, and again after each event of a stack, until the time is over.

    Waiting is looking again: nothing that happens between two looks is missed.

    :param wait: seconds; 0 for one look.
    :param timeout: seconds after which a call to the store counts as failed.
    :param stale: accept what is known here, without asking the database.
    :param stirs: look again also after what makes no event.
    """
    end = clock.monotonic() + wait
    wait_for_next = events.wait_stir if stirs else events.wait
    state = store.state() if stale else store.refresh(clock.monotonic() + timeout)
    while True:
        revision = state.revision  # before the look, which may see more
        yield state
        left = end - clock.monotonic()
        if left <= 0 or events.closing:
            return
        wait_for_next(scope, revision, left)
        state = store.state()
        if state.revision < revision:  # read anew, from the oldest that is kept
            state = store.refresh(clock.monotonic() + timeout)


def check_age(at: Cursor, epoch: str, head: int, created: int = 0) -> None:
    """Refuse pages at a revision that was never of this, or at which it was not there yet.

    :param head: the newest revision; *created*: that of the stack.
    :raises CursorExpired: begin with the first page.
    """
    if at.epoch != epoch or not created <= at.revision <= head:
        raise CursorExpired(
            "these pages show a state that is no longer kept; begin with the first page again."
        )
