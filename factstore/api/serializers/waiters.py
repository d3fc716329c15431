"""Waiters and signals as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from factstore.api.raw_json import object_texts
from factstore.core.model.alarm import Alarm
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
        **lost_history(waiter),
    }


def lost_history(record: Waiter | Alarm) -> dict[str, object]:
    """Return the time at which it was noticed that history was lost, if it was."""
    at = record.history_lost_at
    return {"history_lost_at": at} if at is not None else {}


def waiter_with_progress(waiter: Waiter, progress: Progress) -> dict[str, object]:
    """Return a waiter with its progress."""
    return {
        **_summary(waiter),
        "satisfied": progress.satisfied,
        "needed": progress.needed,
        "missing": list(progress.missing),
        "failing": list(progress.failing),
    }


def waiter_texts(found: WaiterView) -> Iterator[str]:
    """Yield a waiter with its signals as JSON."""
    fields = waiter_with_progress(found.waiter, found.progress)
    if found.fault is not None:
        fields["reason"] = found.fault
    return object_texts(fields, {"signals": _signals_texts(found.signals)})


def _signals_texts(signals: Iterable[Signal]) -> Iterator[str]:
    """Yield an object of signals by their ids."""
    before = "{"
    for signal in signals:
        fields = {
            "status": signal.status,
            "reason": signal.reason,
            "received_at": signal.received_at,
            "by": signal.by,
        }
        yield f"{before}{encode(signal.id)}:"
        yield from object_texts(fields, {"data": (signal.data,)})
        before = ","
    yield "}" if before == "," else "{}"
