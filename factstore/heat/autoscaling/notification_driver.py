"""The notification driver ``factstore``: compares a tree with its members after each stack operation.

Both of Heat's engines notify the drivers that ``[oslo_messaging_notifications] driver`` names, about
all stacks and whatever their environments contain.  This driver sends nothing and reads nothing of a
notification but its type and the stack's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from heat.common.context import get_admin_context
from heat.engine.stack import Stack
from oslo_log import log
from oslo_messaging.notify import notifier

from factstore.heat.autoscaling.controller import queue
from factstore.heat.autoscaling.work_queue import ReconcileRequest

LOG = log.getLogger(__name__)

_STACK = "orchestration.stack."
_FINISHED = (".end", ".error")
_DELETE_START = f"{_STACK}delete.start"
# The stack's trust no longer exists then. The request at the start of the deletion did the work.
_DELETE_END = f"{_STACK}delete.end"


class StoredContext:
    """The part of a request context that the controller uses, from the trust that Heat stores.

    A notification's own context has no credentials.

    :param stack_id: the id of the stack whose trust is used.
    """

    def __init__(self, stack_id: str) -> None:
        self.stack_id = stack_id

    @cached_property
    def context(self) -> Any:
        """Heat's context for the trust; loaded on first use, because few stacks have members."""
        found = Stack.load(get_admin_context(), stack_id=self.stack_id, use_stored_context=True)
        return found.context

    @property
    def clients(self) -> Any:
        """The clients of that context.  They do not keep their context alive, so this object does."""
        return self.context.clients


class FactstoreDriver(notifier.Driver):
    """The driver that Heat's notifier calls."""

    def notify(
        self, ctxt: Mapping[str, Any], message: Mapping[str, Any], priority: str, retry: int | None
    ) -> None:
        """Add a request for the whole tree if an operation ended or a deletion began; never raises."""
        try:
            kind = message["event_type"]
            finished = kind.startswith(_STACK) and kind.endswith(_FINISHED) and kind != _DELETE_END
            if finished or kind == _DELETE_START:
                stack_id = message["payload"]["stack_identity"]
                queue.add(ReconcileRequest(StoredContext(stack_id), stack_id))
        except (AttributeError, KeyError, TypeError) as error:
            LOG.warning("factstore: a notification from Heat has an unexpected form: %r", error)
