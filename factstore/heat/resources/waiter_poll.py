"""How a waiter of Heat waits for one of factstore: it looks, and never holds up the engine."""

from __future__ import annotations

from heat.common import exception
from heat.common.context import RequestContext
from heat.engine.stack import Stack as HeatStack
from oslo_log import log as logging

from factstore.client import Client, WaiterRecord, errors
from factstore.heat.client_plugin import CLIENT_NAME
from factstore.heat.errors import sentence

LOG = logging.getLogger(__name__)

_ANSWER_SECONDS = 2.0


class WaiterFailed(exception.Error):
    """The failure condition holds, or somebody signalled failure."""


class WaiterTimedOut(exception.Error):
    """The waiter's time is over."""


class WaiterGone(exception.Error):
    """Somebody has deleted the waiter."""


class Waiting:
    """One wait, from arming to the end.

    It acts as the user, whose token may end before the wait does: then the stack's trust goes on.

    :param bag: the data bag's name.
    :param name: the waiter's.
    """

    def __init__(self, stack: HeatStack, bag: str, name: str) -> None:
        self._stack = stack
        self._bag = bag
        self._name = name
        self._silent = False
        self._act_in(stack.context)

    def _act_in(self, context: RequestContext) -> None:
        self._context = context  # which Heat's clients do not keep alive
        plugin = context.clients.client_plugin(CLIENT_NAME)
        # Other resources of the stack may have to wait for as long.
        self._client: Client = plugin.connect(answer_within=_ANSWER_SECONDS, retry_for=0)

    def over(self) -> bool:
        """Whether it is met.

        That factstore does not answer is no failure: the waiter waits there, whoever asks.

        :raises WaiterFailed: it has failed.
        :raises WaiterTimedOut: its time is over.
        :raises WaiterGone: there is none any more.
        """
        try:
            record = self._look()
        except errors.NotFound as error:
            raise WaiterGone(
                f"waiter {self._name} was deleted while the stack waited for it."
            ) from error
        except (errors.Unavailable, errors.OutcomeUnknown, errors.UnexpectedAnswer) as error:
            if not self._silent:
                LOG.warning("waiter %s is waited for all the same: %s", self._name, sentence(error))
            self._silent = True
            return False
        self._silent = False
        if record.state == "failed":
            raise WaiterFailed(_told(record))
        if record.state == "timed_out":
            raise WaiterTimedOut(_told(record))
        return record.state == "met"

    def _look(self) -> WaiterRecord:
        try:
            return self._client.stack(self._bag).waiter(self._name).show()
        except errors.Unauthorized:
            if self._context is not self._stack.context:
                raise
            LOG.info("the user's token is over: waiter %s is waited for by the trust", self._name)
            self._act_in(self._stack.stored_context())
            return self._client.stack(self._bag).waiter(self._name).show()


def _told(record: WaiterRecord) -> str:
    """What became of a waiter, and through whom."""
    missing, failing = ", ".join(record.missing), ", ".join(record.failing)
    told = f"waiter {record.name}: {record.reason} ({record.satisfied} of {record.needed} hold"
    if missing:
        told += f"; missing: {missing}"
    return f"{told}; failing: {failing})." if failing else f"{told})."
