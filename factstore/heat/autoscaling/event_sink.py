"""The event sink ``factstore``: what a stack's environment switches on to be heard at once.

It hears of each resource and each stack of a tree, keeps nothing of what it hears but where to look,
and leaves the rest to :mod:`factstore.heat.autoscaling.controller`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oslo_log import log

from factstore.heat.autoscaling.controller import lookout
from factstore.heat.autoscaling.work_queue import due

LOG = log.getLogger(__name__)

_complained: set[str] = set()
"""What was told already: Heat makes a sink at every turn."""


class FactstoreSink:
    """What Heat hands events to.

    Its options are read from the root stack's environment when they are needed, so that they hold for
    the lifecycle plugin too.  It refuses none: Heat makes sinks whenever it loads a stack, and a stack
    that cannot be loaded cannot be repaired.

    :param stack: the fact space of trees that declare none.
    :param groups: the only groups whose instances are members.
    """

    def __init__(
        self, stack: object = None, groups: object = None, target: object = None, **unknown: object
    ) -> None:
        for option in sorted(unknown.keys() - _complained):
            _complained.add(option)
            LOG.warning(
                "factstore: the event sink has no option %s; it has stack and groups.", option
            )

    def consume(self, context: Any, event: Mapping[str, Any]) -> None:
        """Note where an event says that something changed; never raises."""
        try:
            look = due(context, event["payload"])
        except (KeyError, TypeError) as error:
            LOG.warning("factstore: an event of Heat's is not as expected: %r", error)
            return
        if look is not None:
            lookout.want(look)
