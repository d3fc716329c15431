"""The event sink ``factstore``, which a stack's environment switches on.

It receives the events of every resource and stack of a tree and turns them into reconcile requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oslo_log import log

from factstore.heat.autoscaling.controller import queue
from factstore.heat.autoscaling.work_queue import request_from_event

LOG = log.getLogger(__name__)

# Heat creates a sink whenever it loads a stack; each unknown option is reported once.
_reported: set[str] = set()


class FactstoreSink:
    """Heat's event sink.

    The controller reads the options from the root stack's environment, because the notification driver
    respects them too.  Unknown options are logged and not refused: Heat cannot load a stack whose sink
    raises, so nobody could repair that stack.

    :param stack: the fact space of trees that declare none.
    :param groups: the only groups whose instances are members.
    """

    def __init__(
        self, stack: object = None, groups: object = None, target: object = None, **unknown: object
    ) -> None:
        for option in sorted(unknown.keys() - _reported):
            _reported.add(option)
            LOG.warning(
                "factstore: the event sink has no option %s; its options are stack and groups.",
                option,
            )

    def consume(self, context: Any, event: Mapping[str, Any]) -> None:
        """Add a request for the resource or stack that an event is about; never raises."""
        try:
            request = request_from_event(context, event["payload"])
        except (KeyError, TypeError) as error:
            LOG.warning("factstore: an event from Heat has an unexpected form: %r", error)
            return
        if request is not None:
            queue.add(request)
