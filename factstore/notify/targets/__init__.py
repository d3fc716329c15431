"""The kinds of targets: one class each, listed once, in :data:`KINDS`.

A delivery succeeds if the target has accepted the message.  Of its response, only the status is stored
or logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from factstore.core.model.target import Target
from factstore.notify.targets.base import Surroundings, TargetSender
from factstore.notify.targets.heat_signal import HeatSignal
from factstore.notify.targets.webhook import Webhook
from factstore.notify.targets.zaqar import ZaqarQueue

KINDS: Mapping[str, Callable[[Target, str, Surroundings], TargetSender]] = {
    "https": Webhook,
    "http": Webhook,
    "zaqar": ZaqarQueue,
    "heat-signal": HeatSignal,
}
"""The classes by scheme."""


def sender(target: Target, project_id: str, surroundings: Surroundings) -> TargetSender:
    """Return what sends messages of a project to a target."""
    return KINDS[target.scheme](target, project_id, surroundings)
