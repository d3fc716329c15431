"""Delays of requests above the rate of their project, as the throttle makes them for others.

What has to be refused is left to the throttle, which delays its refusals.
"""

from __future__ import annotations

from factstore.core.errors import Throttled
from factstore.core.services.rate_limit import RateLimiter
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.scheduler import Scheduler


def seconds_to_delay(limiter: RateLimiter, call: Call) -> float | None:
    """Charge a request, and return the seconds to delay it; None if it has to be refused."""
    project_id, heartbeat = call.flow
    try:
        return limiter.request(project_id, len(call.request.body), heartbeat=heartbeat)
    except Throttled:
        return None


def sleep(limiter: RateLimiter, scheduler: Scheduler, seconds: float) -> bool:
    """Delay the current request; return False if too many requests are delayed already.

    :raises ClientGone: the request has not been carried out.
    """
    try:
        leave = limiter.begin_delay()
    except Throttled:
        return False
    try:
        scheduler.sleep(seconds)
    finally:
        leave()
    return True
