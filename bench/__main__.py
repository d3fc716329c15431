"""``python -m bench``: run all parts, or the named ones, and print the figures."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import (
    authentication,
    batches,
    fairness,
    followers,
    growth,
    heartbeats,
    heat,
    load,
    massdeath,
    nodes,
    speed,
    watchers,
)
from bench.lab import Lab
from bench.report import Report

ROUNDS = 5
SECONDS = 4
WATCHERS = 1000
EVENTS = 15
MEMBERS = 1000
DEATHS = 5000
NODES = 300


def main() -> int:
    """Run the benchmark; return 0 on success."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="a run (default: %(default)s)")
    parser.add_argument("--watchers", type=int, default=WATCHERS, help="(default: %(default)s)")
    parser.add_argument("--members", type=int, default=MEMBERS, help="(default: %(default)s)")
    parser.add_argument("--deaths", type=int, default=DEATHS, help="(default: %(default)s)")
    parser.add_argument("--nodes", type=int, default=NODES, help="(default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="write bench/RESULTS.md as well")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"parts to run, of {', '.join(PARTS)}"
    )
    args = parser.parse_args()
    wrong = set(args.parts) - PARTS.keys()
    if wrong:
        parser.error(f"no part is named {', '.join(sorted(wrong))}")
    needs_wrk = not args.parts or set(args.parts) - {"batches", "followers", "heat", "nodes"}
    if needs_wrk and load.find_wrk() is None:
        sys.stderr.write("bench: wrk is missing; install the package wrk\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="factstore-bench-") as state, Lab(Path(state)) as lab:
        report = Report(lab.etcd.version())
        for name in args.parts or PARTS:
            PARTS[name](lab, report, args)
    if args.write:
        report.write()
    return 0


def _speed(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section(f"Speed, {load.CONNECTIONS} connections, values of {load.VALUE_BYTES} bytes")
    for name in ("GET", "PUT", "CREATE"):
        found = speed.compare(
            lab, load.factstore(name, lab), load.gateway(name, lab), args.rounds, args.seconds
        )
        report.line(f"{name}: {found}")


def _watch(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section("Watch")
    result = watchers.run(lab, args.watchers, EVENTS)
    first, last = statistics.median(result.first_ms), statistics.median(result.last_ms)
    report.line(
        f"PUT to the last of {args.watchers} SSE watchers, median of {EVENTS} events "
        f"{last:.0f} ms (first {first:.0f} ms, "
        f"slowest event {max(result.last_ms):.0f} ms); "
        f"{result.kib_per_watcher:.1f} KiB of the worker's memory for each"
    )


def _followers(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section(
        f"One change in a stack of {followers.MEMBERS} members with {followers.FACTS} facts each, "
        "all of which follow its context"
    )
    for line in followers.shown(followers.run(lab, EVENTS)):
        report.line(line)


def _nodes(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section(
        "Nodes that start at the same moment and need each other, in two processes on the same cores"
    )
    for line in nodes.shown():
        report.line(line)


def _authentication(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section("Authentication by Keystone, GET")
    with tempfile.TemporaryDirectory() as state, Lab(Path(state), keystone=True) as guarded:
        found = authentication.run(lab, guarded, args.rounds, args.seconds)
    for line in authentication.shown(found):
        report.line(line)


def _growth(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section("Growth with the facts of a stack, one caller")
    for line in growth.by_facts(lab, repeats=200):
        report.line(line)
    report.section("Growth with the size of values, 64 connections")
    for line in growth.by_value(lab, max(1, args.rounds // 2), args.seconds):
        report.line(line)
    report.section("Growth with watchers of one stack")
    for line in growth.by_watchers(lab, EVENTS):
        report.line(line)


def _batches(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section(
        f"Batches: {batches.CLIENTS} clients write {batches.FACTS} facts each at the same moment"
    )
    report.line(f"one batch each: {batches.run(lab, args.rounds)}")


def _fairness(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section("Fairness: one project floods with 64 connections while another one works")
    for what, limits in (
        ("with the limits of the default configuration", {"facts": 1000}),
        ("without a rate", {"facts": 1000, "requests_per_second": -1}),
    ):
        with (
            tempfile.TemporaryDirectory() as state,
            Lab(Path(state), keystone=True, limits=limits) as guarded,
        ):
            found = fairness.run(guarded, args.rounds, args.seconds)
        report.line(
            f"{what}: the other's requests take {found.ratio(0.5):.2f} times as long "
            f"(median of {args.rounds} pairs of medians), {found.ratio(0.95):.2f} times at the 95th "
            f"percentile; the flood got {found.answered} responses, {found.refused} of them refusals, "
            "because its quota of 1000 facts is full"
        )
    report.section(
        f"Fairness: {args.nodes} nodes of a cluster boot at once in one project while another one "
        "works, with the limits of the default configuration"
    )
    with (
        tempfile.TemporaryDirectory() as state,
        tempfile.TemporaryDirectory() as other_state,
        Lab(Path(state), keystone=True, limits={}) as guarded,
        Lab(Path(other_state), keystone=True, limits={}) as other,
    ):
        booted = fairness.boot(guarded, other, args.nodes, max(1, args.rounds // 2), args.seconds)
    for line in fairness.shown(booted):
        report.line(line)


def _heartbeat(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section(f"Heartbeats of {args.members} members, {load.CONNECTIONS} connections")
    for line in heartbeats.shown(heartbeats.run(lab, args.members, args.rounds, args.seconds)):
        report.line(line)


def _massdeath(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section(
        f"Mass death: {args.deaths} members with a ttl of {massdeath.TTL} s stop their heartbeats at "
        "once while another project works with one caller"
    )
    alone, found = [], []
    with (
        tempfile.TemporaryDirectory() as state,
        Lab(Path(state), keystone=True, limits={"requests_per_second": -1}) as guarded,
    ):
        for number in range(max(1, args.rounds // 2)):
            alone.append(massdeath.alone(guarded, args.deaths, number))
            found.append(massdeath.run(guarded, args.deaths, number))
    for line in massdeath.shown(alone, found, args.deaths):
        report.line(line)


def _heat(lab: Lab, report: Report, args: argparse.Namespace) -> None:
    report.section("Heat: one fact in a launch configuration and in a data bag, one caller")
    with tempfile.TemporaryDirectory() as state, Lab(Path(state), keystone=True) as guarded:
        found = heat.run(guarded, args.rounds)
    for line in heat.shown(found):
        report.line(line)


PARTS: dict[str, Callable[[Lab, Report, argparse.Namespace], None]] = {
    "speed": _speed,
    "watch": _watch,
    "followers": _followers,
    "nodes": _nodes,
    "authentication": _authentication,
    "growth": _growth,
    "batches": _batches,
    "fairness": _fairness,
    "heartbeat": _heartbeat,
    "massdeath": _massdeath,
    "heat": _heat,
}


if __name__ == "__main__":
    sys.exit(main())
