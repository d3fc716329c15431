"""Waiters and signals as JSON."""

from __future__ import annotations

import json

from factstore.core.model.value import encode
from factstore.core.model.waiter import Progress, Signal, Waiter
from factstore.core.services.waiters import WaiterView


def waiter_summary_text(waiter: Waiter) -> str:
    """Return a waiter as JSON, without its progress and signals."""
    return encode(_summary(waiter))


def _summary(waiter: Waiter) -> dict[str, object]:
    return {
        "name": waiter.name,
        "state": waiter.state,
        "reason": waiter.reason,
        "revision": waiter.revision,
        "decided_revision": waiter.decided_revision or None,
        **json.loads(waiter.definition),
        "armed_at": waiter.armed_at,
        "decided_at": waiter.decided_at,
    }


def waiter_with_progress(waiter: Waiter, progress: Progress) -> dict[str, object]:
    """Return a waiter with its progress."""
    return {
        **_summary(waiter),
        "satisfied": progress.satisfied,
        "needed": progress.needed,
        "missing": list(progress.missing),
        "failing": list(progress.failing),
    }


def waiter_text(found: WaiterView) -> str:
    """Return a waiter with its signals as JSON."""
    signals = {signal.id: _signal(signal) for signal in found.signals}
    return encode({**waiter_with_progress(found.waiter, found.progress), "signals": signals})


def _signal(signal: Signal) -> dict[str, object]:
    return {
        "status": signal.status,
        "reason": signal.reason,
        "data": json.loads(signal.data),
        "received_at": signal.received_at,
        "by": signal.by,
    }
