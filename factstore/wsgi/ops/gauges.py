"""The current numbers of a worker, for the metrics."""

from __future__ import annotations

from factstore.core.errors import Unavailable
from factstore.core.model.stuck_report import STUCK_REPORT
from factstore.core.services.rate_limit import RateLimiter
from factstore.store.mirror import MirroredStore
from factstore.watch.hub import Hub
from factstore.wsgi.scheduler import Scheduler


def gauges(
    store: MirroredStore, hub: Hub, rate_limiter: RateLimiter, scheduler: Scheduler
) -> dict[str, int]:
    """Return this process's current numbers, by the names of the metrics."""
    events, size = hub.depth
    kept = hub.kept()
    process = {
        "streams": rate_limiter.open_in("streams"),
        "waiting_requests": rate_limiter.open_in("waiting_requests"),
        "queued_requests": scheduler.waiting,
        "hub_events": events,
        "hub_bytes": size,
        "hub_stacks": len(kept),
        "hub_largest_stack_bytes": max((each.bytes for each in kept.values()), default=0),
        "ready": 0,
    }
    try:
        state = store.state()
    except Unavailable:
        return process
    total = state.total()
    with state.read():
        stacks = state.all_stacks()
        contents = {
            "members": sum(len(each.live_members) for each in stacks),
            "waiters_pending": sum(len(each.pending_waiters) for each in stacks),
            "stuck_stacks": sum(each.record(STUCK_REPORT) is not None for each in stacks),
            "faults": sum(
                len(each.conditions.faults)
                + bool(each.convergence.fault)
                + bool(each.turn_queues.fault)
                for each in stacks
            ),
        }
    totals = {"stacks": total.stacks, "facts": total.facts, "bytes": total.bytes}
    return {**process, **totals, **contents, "revision": state.revision, "ready": 1}
