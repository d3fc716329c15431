"""Polls by Heat's engine, none of which blocks while factstore does not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from heat.common.context import RequestContext
from heat.engine.stack import Stack as HeatStack
from oslo_log import log as logging

from factstore.client import Client, Stack, errors
from factstore.heat.client_plugin import CLIENT_NAME
from factstore.heat.errors import message

LOG = logging.getLogger(__name__)

_ANSWER_SECONDS = 2.0

T = TypeVar("T")


class Unanswered(Exception):
    """factstore did not answer; the wait continues."""


class Poll:
    """The reads of one wait.

    They begin with the user's token.  If the token expires during the wait, the stack's trust
    replaces it.

    :param bag: the data bag's name.
    :param title: what the stack waits for.
    """

    def __init__(self, stack: HeatStack, bag: str, title: str) -> None:
        self._stack = stack
        self._bag = bag
        self._title = title
        self._unanswered = False
        self._connect(stack.context)

    def _connect(self, context: RequestContext) -> None:
        self._context = context  # Heat's clients do not keep it alive
        plugin = context.clients.client_plugin(CLIENT_NAME)
        # A long timeout would hold up the other resources of the stack.
        self._client: Client = plugin.connect(answer_within=_ANSWER_SECONDS, retry_for=0)

    def read(self, read: Callable[[Stack], T]) -> T:
        """Return what *read* returns for the data bag.

        :raises Unanswered: factstore does not answer, which is logged once.
        """
        try:
            found = self._read(read)
        except (errors.Unavailable, errors.OutcomeUnknown, errors.UnexpectedAnswer) as error:
            if not self._unanswered:
                LOG.warning(
                    "%s cannot be read; the stack still waits: %s", self._title, message(error)
                )
            self._unanswered = True
            raise Unanswered from error
        self._unanswered = False
        return found

    def _read(self, read: Callable[[Stack], T]) -> T:
        try:
            return read(self._client.stack(self._bag))
        except errors.Unauthorized:
            if self._context is not self._stack.context:
                raise
            LOG.info("the user's token has expired: the trust waits for %s", self._title)
            self._connect(self._stack.stored_context())
            return read(self._client.stack(self._bag))
