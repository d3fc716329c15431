"""The lifecycle plugin ``factstore``: looks at a whole tree whenever an operation of a stack is over.

It repairs what the event sink missed, and serves stacks whose environment names no sink.  Only Heat's
older engine calls such plugins.
"""

from __future__ import annotations

from typing import Any

from heat.engine import lifecycle_plugin

from factstore.heat.autoscaling.controller import lookout
from factstore.heat.autoscaling.work_queue import Look


class FactstoreLifecycle(lifecycle_plugin.LifecyclePlugin):
    """What Heat calls before and after each operation of a stack, nested ones included."""

    def do_pre_op(
        self, cnxt: Any, stack: Any, current_stack: Any = None, action: str | None = None
    ) -> None:
        """Before a deletion, learn which fact space it is about."""
        if action == stack.DELETE:
            lookout.want(Look(cnxt, stack.id))

    def do_post_op(
        self,
        cnxt: Any,
        stack: Any,
        current_stack: Any = None,
        action: str | None = None,
        is_stack_failure: bool = False,
    ) -> None:
        """Have the tree looked at, however the operation ended."""
        if stack.id is not None:
            lookout.want(Look(cnxt, stack.id))
