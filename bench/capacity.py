"""The arithmetic of the capacity page: how much half a core, a GiB and an etcd are enough for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

HALF = 500_000  # microseconds of half a core in a second
GIB = 1024 * 1024  # KiB
ETCD_GIB = 8  # the largest quota that etcd recommends
PERIOD = 30  # seconds between two heartbeats of a member

Figures = Mapping[str, float]

# What, the arithmetic, and the result. Half of etcd's quota is for history.
ROWS: tuple[tuple[str, str, Callable[[Figures], float]], ...] = (
    (
        "GETs a second, half a core of a worker",
        "500,000 µs / {get_worker_us:.0f} µs",
        lambda figures: HALF / figures["get_worker_us"],
    ),
    (
        "writes a second, half a core of a worker",
        "500,000 µs / {put_worker_us:.0f} µs",
        lambda figures: HALF / figures["put_worker_us"],
    ),
    (
        "writes a second, half a core of etcd",
        "500,000 µs / {put_etcd_us:.0f} µs",
        lambda figures: HALF / figures["put_etcd_us"],
    ),
    (
        "members with a heartbeat every 30 s, half a core of a worker",
        "30 * 500,000 µs / {heartbeat_worker_us:.0f} µs",
        lambda figures: PERIOD * HALF / figures["heartbeat_worker_us"],
    ),
    (
        "members with a heartbeat every 30 s, half a core of etcd",
        "30 * 500,000 µs / {heartbeat_etcd_us:.0f} µs",
        lambda figures: PERIOD * HALF / figures["heartbeat_etcd_us"],
    ),
    (
        "events delivered to watchers a second, half a core of a worker",
        "500,000 µs / {watch_delivery_us:.1f} µs",
        lambda figures: HALF / figures["watch_delivery_us"],
    ),
    (
        "watchers, one GiB of a worker",
        "1 GiB / {watch_kib:.1f} KiB",
        lambda figures: GIB / figures["watch_kib"],
    ),
    (
        "waiting requests, one GiB of a worker",
        "1 GiB / {long_poll_kib:.1f} KiB",
        lambda figures: GIB / figures["long_poll_kib"],
    ),
    (
        "facts, one GiB of every worker",
        "1 GiB / {fact_kib_restarted:.2f} KiB",
        lambda figures: GIB / figures["fact_kib_restarted"],
    ),
    (
        "facts, half of etcd's quota of 8 GiB",
        "4 GiB / {fact_kib_etcd:.2f} KiB",
        lambda figures: ETCD_GIB / 2 * GIB / figures["fact_kib_etcd"],
    ),
)


def table(figures: Figures) -> list[str]:
    """Return the lines of the table, in reStructuredText."""
    lines = [
        ".. Written by: make bench BENCHARGS=--write",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "",
    ]
    rows = [("Enough for", "Arithmetic", "Result")]
    for what, arithmetic, result in ROWS:
        try:
            rows.append((what, arithmetic.format(**figures), _rounded(result(figures))))
        except (KeyError, ZeroDivisionError):  # not measured, or too little to be measured
            continue
    for row in rows:
        lines += [f"   {'*' if not index else ' '} - {cell}" for index, cell in enumerate(row)]
    return lines


def _rounded(number: float) -> str:
    """Return a number with two digits, because it is an estimate."""
    return f"{float(f'{number:.2g}'):,.0f}"
