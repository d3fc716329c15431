"""Polls of a waiter by Heat's engine."""

from __future__ import annotations

from heat.common import exception
from heat.engine.stack import Stack as HeatStack

from factstore.client import WaiterRecord, errors
from factstore.heat.resources.poll import Poll, Unanswered


class WaiterFailed(exception.Error):
    """The failure condition is met, or a signal reported a failure."""


class WaiterTimedOut(exception.Error):
    """The waiter's timeout has passed."""


class WaiterGone(exception.Error):
    """The waiter was deleted."""


class WaiterPoll:
    """One wait, from arming to the end.

    :param bag: the data bag's name.
    :param name: the waiter's name.
    """

    def __init__(self, stack: HeatStack, bag: str, name: str) -> None:
        self._name = name
        self._poll = Poll(stack, bag, f"waiter {name}")

    def is_done(self) -> bool:
        """Return whether the waiter is met.

        If factstore does not answer, the wait continues: factstore evaluates the waiter meanwhile.

        :raises WaiterFailed: the waiter has failed.
        :raises WaiterTimedOut: the timeout has passed.
        :raises WaiterGone: the waiter was deleted.
        """
        try:
            record = self._poll.read(lambda bag: bag.waiter(self._name).show())
        except errors.NotFound as error:
            raise WaiterGone(
                f"waiter {self._name} was deleted while the stack waited for it."
            ) from error
        except Unanswered:
            return False
        if record.state == "failed":
            raise WaiterFailed(_description(record))
        if record.state == "timed_out":
            raise WaiterTimedOut(_description(record))
        return record.state == "met"


def _description(record: WaiterRecord) -> str:
    """Return why a waiter ended, with its progress and the members that are missing or failing."""
    missing, failing = ", ".join(record.missing), ", ".join(record.failing)
    text = f"waiter {record.name}: {record.reason} ({record.satisfied} of {record.needed} satisfied"
    if missing:
        text += f"; missing: {missing}"
    return f"{text}; failing: {failing})." if failing else f"{text})."
