"""The notification driver ``factstore``: looks at a tree whenever an operation of a stack is over.

It does for either engine what the lifecycle plugin does for the older one: Heat notifies whomever
``[oslo_messaging_notifications] driver`` names of all stacks, whatever their environments say.  Nothing
is sent anywhere, and what a notification holds beside the stack's id is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from heat.common.context import get_admin_context
from heat.engine.stack import Stack
from oslo_log import log
from oslo_messaging.notify import notifier

from factstore.heat.autoscaling.controller import lookout
from factstore.heat.autoscaling.work_queue import Look

LOG = log.getLogger(__name__)

_STACK = "orchestration.stack."
_OVER = (".end", ".error")
_DELETED = f"{_STACK}delete.end"
"""Then there is no trust left to act by; what there was to do was done when the deletion began."""
_DELETION_BEGINS = f"{_STACK}delete.start"


class Stored:
    """A stack's trust as Heat keeps it: a notification's own context holds no credentials.

    :param stack: its id.
    """

    def __init__(self, stack: str) -> None:
        self.stack = stack

    @cached_property
    def context(self) -> Any:
        """Heat's context that acts by it.  Few stacks have members, so it is made when it is needed."""
        found = Stack.load(get_admin_context(), stack_id=self.stack, use_stored_context=True)
        return found.context

    @property
    def clients(self) -> Any:
        """Its clients, which hold no context themselves."""
        return self.context.clients


class FactstoreDriver(notifier.Driver):
    """What Heat hands notifications to."""

    def notify(
        self, ctxt: Mapping[str, Any], message: Mapping[str, Any], priority: str, retry: int | None
    ) -> None:
        """Have the tree looked at, however the operation ended; never raises."""
        try:
            kind = message["event_type"]
            over = kind.startswith(_STACK) and kind.endswith(_OVER) and kind != _DELETED
            if over or kind == _DELETION_BEGINS:
                stack = message["payload"]["stack_identity"]
                lookout.want(Look(Stored(stack), stack))
        except (AttributeError, KeyError, TypeError) as error:
            LOG.warning("factstore: a notification of Heat's is not as expected: %r", error)
