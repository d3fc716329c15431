"""One attempt to send a message."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.errors import SealBroken
from factstore.core.model.delivery import DeliveryKind
from factstore.core.model.subscription import Subscription
from factstore.notify.deadline import Deadline
from factstore.notify.messages import Message
from factstore.notify.parts import Parts
from factstore.notify.progress import Attempt
from factstore.notify.targets.base import Outcome, TargetSender
from factstore.notify.web_client import TOTAL_SECONDS


def send_once(
    parts: Parts,
    sender: TargetSender,
    allowed_until: Callable[[], float],
    project_id: str,
    subscription: Subscription,
    message: Message,
    kind: DeliveryKind,
) -> Attempt:
    """Send a message, and return the attempt with its outcome.

    :raises SendingEnded: the notifier may not send any more.
    """
    clock = parts.clock
    began, at = clock.monotonic(), clock.timestamp()
    deadline = Deadline(TOTAL_SECONDS, allowed_until, clock.monotonic)
    deadline.left()
    try:
        outcome = sender.send(message, parts.secrets(project_id, subscription, at), deadline)
    except SealBroken as error:
        outcome = Outcome(error=f"{error.detail} Or rotate the secret, with an overlap of 0.")
    seconds = clock.monotonic() - began
    result = "delivered" if outcome.error is None else "gone" if outcome.gone else "failed"
    parts.observer.attempted(kind, result, seconds)
    return Attempt(message, kind, at, seconds, outcome)
