"""Watchers of one stack against a bare asyncio broadcast, and the cost of idle readers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.broadcast import Broadcast
from bench.goals import at_most
from bench.lab import Lab
from bench.report import Report
from bench.watchers import Connected, Fanout, Readers, long_polls, streams, writer

ROUNDS = 5
EVENTS = 3
LONG_POLLS = 2000


def run(report: Report, count: int) -> None:
    """Measure the fan-out of both servers in turn."""
    with Lab() as lab, Broadcast(lab.state) as broadcast:
        with long_polls(lab) as waiting:
            waiting.connect(100)  # buffers and modules that the first ones need are not theirs
            polls = waiting.connect(LONG_POLLS)
        publish, broadcast_publish = writer(lab), broadcast.writer()
        sides = {
            "service": [_measured(streams(lab), publish, count)],
            "broadcast": [_measured(broadcast.readers(), broadcast_publish, count)],
        }
        for _ in range(ROUNDS - 1):
            sides["service"].append(_measured(streams(lab), publish, count))
            sides["broadcast"].append(_measured(broadcast.readers(), broadcast_publish, count))
    report.section(
        f"{count:,} watchers of one stack, against a bare broadcast by asyncio with uvloop",
        [
            "",
            "ms from the answer to the last",
            "from the start of the PUT to the last",
            "CPU µs a delivery",
            "CPU µs to connect",
            "KiB each",
        ],
    )
    for name, rounds in sides.items():
        report.row(
            name,
            f"{_median(rounds, 'last_ms'):.0f}",
            f"{_median(rounds, 'from_start_ms'):.0f}",
            f"{_median(rounds, 'server_us') / count:.1f}",
            f"{statistics.median(each.connected.connect_us for each in rounds):.0f}",
            f"{rounds[0].connected.kib:.1f}",
        )
    mine, theirs = sides.values()
    ratio = statistics.median(
        statistics.median(each.fanout.from_start_ms) / statistics.median(other.fanout.from_start_ms)
        for each, other in zip(mine, theirs, strict=True)
    )
    per_delivery = _median(mine, "server_us") / count
    connect_us = statistics.median(each.connected.connect_us for each in mine)
    kib = mine[0].connected.kib  # later ones use the memory again that earlier ones have freed
    for what, figure, goal in (
        (f"{count:,} watchers, times the broadcast", ratio, at_most(1.2)),
        ("CPU µs of a delivery to a watcher", per_delivery, at_most(10)),
        ("KiB of an idle watcher", kib, at_most(4)),
        ("KiB of an idle long poll", polls.kib, at_most(6)),
        ("CPU µs of a connection of a watcher", connect_us, at_most(100)),
    ):
        report.line(f"{what}: {figure:.1f} (target {report.goal(what, figure, goal)})")
    report.figure("watch_count", count)
    report.figure("watch_last_ms", _median(mine, "from_start_ms"))
    report.figure("watch_broadcast_ms", _median(theirs, "from_start_ms"))
    report.figure("watch_delivery_us", per_delivery)
    report.figure("watch_kib", kib)
    report.figure("watch_connect_us", connect_us)
    report.figure("long_poll_kib", polls.kib)


@dataclass(frozen=True)
class _Measured:
    connected: Connected
    fanout: Fanout


def _measured(readers: Readers, publish: Callable[[str], None], count: int) -> _Measured:
    """Connect readers, publish events to them, and close them."""
    with readers:
        connected = readers.connect(count)
        fanout = readers.fanout(publish, EVENTS)
    time.sleep(1)  # until the server has closed its side, too
    return _Measured(connected, fanout)


def _median(rounds: list[_Measured], field: str) -> float:
    return statistics.median(value for each in rounds for value in getattr(each.fanout, field))
