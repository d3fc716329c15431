"""The parts of the benchmark, in the order in which they run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bench import (
    authentication,
    batches,
    fairness,
    followers,
    growth,
    heartbeats,
    heat,
    history,
    many_stacks,
    massdeath,
    memory,
    nodes,
    notify,
    reads,
    scaling,
    waits,
    watch,
    writes,
    zaqar,
    zookeeper,
)
from bench.goals import at_least, at_most
from bench.lab import Lab
from bench.labs import Labs
from bench.load import CONNECTIONS
from bench.report import Report


@dataclass
class Sizes:
    """Numbers that an option can change."""

    rounds: int = 5
    seconds: float = 0.5
    watchers: int = 10_000
    members: int = 1000
    deaths: int = 5000
    nodes: int = 300


EVENTS = 10  # changes that the members follow
SPELL_SECONDS = 1.0  # for enough requests of one caller
FLOODS = {"GETs, no rate set": "GET", "PUTs, no rate set": "PUT"}
DEFAULT_FLOOD = "PUTs, with the default limits"


def _reads(labs: Labs, report: Report, sizes: Sizes) -> None:
    reads.run(labs.unguarded, labs.guarded, report, sizes.rounds, sizes.seconds)


def _writes(labs: Labs, report: Report, sizes: Sizes) -> None:
    writes.run(labs.unguarded, labs.guarded, report, sizes.rounds, sizes.seconds)


def _authentication(labs: Labs, report: Report, sizes: Sizes) -> None:
    authentication.run(labs.guarded, report)


def _heartbeat(labs: Labs, report: Report, sizes: Sizes) -> None:
    heartbeats.run(labs.unguarded, report, sizes.members, sizes.rounds, sizes.seconds)


def _watch(labs: Labs, report: Report, sizes: Sizes) -> None:
    watch.run(report, sizes.watchers)


def _many_stacks(labs: Labs, report: Report, sizes: Sizes) -> None:
    many_stacks.run(report)


def _followers(labs: Labs, report: Report, sizes: Sizes) -> None:
    report.section(
        f"One change in a stack of {followers.MEMBERS} members with {followers.FACTS} facts each, "
        "all of which follow its context"
    )
    for line in followers.shown(followers.run(labs.unguarded, EVENTS)):
        report.line(line)


def _memory(labs: Labs, report: Report, sizes: Sizes) -> None:
    memory.run(report)


def _nodes(labs: Labs, report: Report, sizes: Sizes) -> None:
    report.section(
        "Nodes that start at the same moment and need each other, in two processes on the same cores"
    )
    killed = False
    for line in nodes.shown():
        report.line(line)
        killed = killed or "killed" in line
        started = re.match(r" *[\d.]+ s +1001 come to 0 +([\d.]+)", line)
        if started and not killed:
            report.figure("nodes_seconds", float(started[1]))


def _facts(labs: Labs, report: Report, sizes: Sizes) -> None:
    growth.by_facts(report)


def _stacks(labs: Labs, report: Report, sizes: Sizes) -> None:
    growth.by_stacks(report)


def _values(labs: Labs, report: Report, sizes: Sizes) -> None:
    growth.by_value(report, max(1, sizes.rounds // 3), sizes.seconds)


def _watchers(labs: Labs, report: Report, sizes: Sizes) -> None:
    growth.by_watchers(report, sizes.watchers)


def _members(labs: Labs, report: Report, sizes: Sizes) -> None:
    growth.by_members(report)


def _scaling(labs: Labs, report: Report, sizes: Sizes) -> None:
    scaling.run(report, max(1, sizes.rounds // 2), sizes.seconds)


def _batches(labs: Labs, report: Report, sizes: Sizes) -> None:
    report.section(
        f"Batches: {batches.CLIENTS} clients write {batches.FACTS} facts each at the same moment"
    )
    report.line(f"one batch each: {batches.run(labs.unguarded, max(1, sizes.rounds // 2))}")


def _fairness(labs: Labs, report: Report, sizes: Sizes) -> None:
    report.section(
        f"Fairness: one project floods with {CONNECTIONS} connections while another one works",
        ["flood", "ms alone", "ms in the flood", "times as long", "95th percentile", "target"],
    )
    for what, operation in FLOODS.items():
        _flood(report, what, fairness.run(labs.guarded, operation, sizes.rounds, SPELL_SECONDS))
    few = max(1, sizes.rounds // 2)
    _flood(report, DEFAULT_FLOOD, fairness.run(labs.limited, "PUT", few, SPELL_SECONDS))


def _flood(report: Report, what: str, found: fairness.Fairness) -> None:
    ratio = found.ratio(0.5)
    report.row(
        what,
        f"{fairness.median(found.quiet, 0.5):.2f}",
        f"{fairness.median(found.loud, 0.5):.2f}",
        f"{ratio:.2f}",
        f"{found.ratio(0.95):.2f}",
        report.goal(f"another project's requests, flood of {what}", ratio, at_most(2)),
    )
    report.line(
        f"the flood of {what} got {found.answered:,} responses, {found.refused:,} of them refusals"
    )
    report.figure("flood_" + what.replace(",", "").replace(" ", "_").lower(), ratio)


def _boot(labs: Labs, report: Report, sizes: Sizes) -> None:
    report.section(
        f"Fairness: {sizes.nodes} nodes of a cluster boot at once in one project while another one "
        "works, with the limits of the default configuration"
    )
    with Lab(keystone=labs.keystone, limits={}) as other:
        few = max(1, sizes.rounds // 3)
        found = fairness.boot(labs.limited, other, sizes.nodes, few, SPELL_SECONDS)
    for line in fairness.shown(found):
        report.line(line)
    report.figure("boot_ratio", found.ratio(found.alone, 0.5))
    report.figure("boot_nodes", sizes.nodes)


def _massdeath(labs: Labs, report: Report, sizes: Sizes) -> None:
    report.section(
        f"Mass death: {sizes.deaths} members with a ttl of {massdeath.TTL} s stop their heartbeats at "
        "once while another project works with one caller"
    )
    alone = [massdeath.alone(labs.guarded, sizes.deaths, 0)]
    found = [massdeath.run(labs.guarded, sizes.deaths, 0)]
    for line in massdeath.shown(alone, found, sizes.deaths):
        report.line(line)
    report.figure("deaths_count", sizes.deaths)
    report.figure("deaths_seconds", found[0].seconds)


def _history(labs: Labs, report: Report, sizes: Sizes) -> None:
    history.run(report, max(1, sizes.rounds // 2))


def _waits(labs: Labs, report: Report, sizes: Sizes) -> None:
    waits.run(report)


def _heat(labs: Labs, report: Report, sizes: Sizes) -> None:
    report.section("Heat: one fact in a launch configuration and in a data bag, one caller")
    found = heat.run(labs.guarded, sizes.rounds)
    for line in heat.shown(found):
        report.line(line)
    for what, pairs, figure in (
        ("Heat, one write until it can be read, times as fast", found.readable, "heat_readable"),
        ("Heat, one write until the next one, times as fast", found.next_one, "heat_next"),
    ):
        report.line(f"{what}: target {report.goal(what, pairs.ratio, at_least(50))}")
        report.figure(f"{figure}_ratio", pairs.ratio)
        report.figure(f"{figure}_ms", pairs.ms)


def _notify(labs: Labs, report: Report, sizes: Sizes) -> None:
    notify.run(report, sizes.seconds)


def _zaqar(labs: Labs, report: Report, sizes: Sizes) -> None:
    zaqar.run(labs.unguarded, report, sizes.rounds, sizes.seconds)


def _zookeeper(labs: Labs, report: Report, sizes: Sizes) -> None:
    zookeeper.run(labs.unguarded, report, sizes.rounds)


PARTS: dict[str, Callable[[Labs, Report, Sizes], None]] = {
    "reads": _reads,
    "writes": _writes,
    "heartbeat": _heartbeat,
    "authentication": _authentication,
    "watch": _watch,
    "many_stacks": _many_stacks,
    "followers": _followers,
    "memory": _memory,
    "facts": _facts,
    "stacks": _stacks,
    "values": _values,
    "watchers": _watchers,
    "members": _members,
    "scaling": _scaling,
    "batches": _batches,
    "fairness": _fairness,
    "boot": _boot,
    "nodes": _nodes,
    "massdeath": _massdeath,
    "history": _history,
    "waits": _waits,
    "heat": _heat,
    "zaqar": _zaqar,
    "notify": _notify,
    "zookeeper": _zookeeper,
}
