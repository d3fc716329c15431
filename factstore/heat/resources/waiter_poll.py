"""Polls of a waiter by Heat's engine, none of which blocks while factstore does not answer."""

from __future__ import annotations

from heat.common import exception
from heat.common.context import RequestContext
from heat.engine.stack import Stack as HeatStack
from oslo_log import log as logging

from factstore.client import Client, WaiterRecord, errors
from factstore.heat.client_plugin import CLIENT_NAME
from factstore.heat.errors import message

LOG = logging.getLogger(__name__)

_ANSWER_SECONDS = 2.0


class WaiterFailed(exception.Error):
    """The failure condition is met, or a signal reported a failure."""


class WaiterTimedOut(exception.Error):
    """The waiter's timeout has passed."""


class WaiterGone(exception.Error):
    """The waiter was deleted."""


class WaiterPoll:
    """One wait, from arming to the end.

    It begins with the user's token.  If the token expires during the wait, the stack's trust
    replaces it.

    :param bag: the data bag's name.
    :param name: the waiter's name.
    """

    def __init__(self, stack: HeatStack, bag: str, name: str) -> None:
        self._stack = stack
        self._bag = bag
        self._name = name
        self._unanswered = False
        self._connect(stack.context)

    def _connect(self, context: RequestContext) -> None:
        self._context = context  # Heat's clients do not keep it alive
        plugin = context.clients.client_plugin(CLIENT_NAME)
        # A long timeout would hold up the other resources of the stack.
        self._client: Client = plugin.connect(answer_within=_ANSWER_SECONDS, retry_for=0)

    def is_done(self) -> bool:
        """Return whether the waiter is met.

        If factstore does not answer, the wait continues: factstore evaluates the waiter meanwhile.

        :raises WaiterFailed: the waiter has failed.
        :raises WaiterTimedOut: the timeout has passed.
        :raises WaiterGone: the waiter was deleted.
        """
        try:
            record = self._read()
        except errors.NotFound as error:
            raise WaiterGone(
                f"waiter {self._name} was deleted while the stack waited for it."
            ) from error
        except (errors.Unavailable, errors.OutcomeUnknown, errors.UnexpectedAnswer) as error:
            if not self._unanswered:
                LOG.warning(
                    "waiter %s cannot be read; the stack still waits: %s",
                    self._name,
                    message(error),
                )
            self._unanswered = True
            return False
        self._unanswered = False
        if record.state == "failed":
            raise WaiterFailed(_description(record))
        if record.state == "timed_out":
            raise WaiterTimedOut(_description(record))
        return record.state == "met"

    def _read(self) -> WaiterRecord:
        try:
            return self._client.stack(self._bag).waiter(self._name).show()
        except errors.Unauthorized:
            if self._context is not self._stack.context:
                raise
            LOG.info("the user's token has expired: the trust waits for waiter %s", self._name)
            self._connect(self._stack.stored_context())
            return self._client.stack(self._bag).waiter(self._name).show()


def _description(record: WaiterRecord) -> str:
    """Return why a waiter ended, with its progress and the members that are missing or failing."""
    missing, failing = ", ".join(record.missing), ", ".join(record.failing)
    text = f"waiter {record.name}: {record.reason} ({record.satisfied} of {record.needed} satisfied"
    if missing:
        text += f"; missing: {missing}"
    return f"{text}; failing: {failing})." if failing else f"{text})."
