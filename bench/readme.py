"""The table of figures in the README: absolute numbers first, ratios beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping

ROWS = (
    (
        "GET of a fact, linearizable",
        (
            "{get_per_second:,.0f} a second, {get_ratio:.2g} times etcd's gateway "
            "({get_gateway_per_second:,.0f}); CPU {get_worker_us:.0f} µs of the worker, "
            "{get_etcd_us:.0f} µs of etcd (gateway: {get_gateway_us:.0f})"
        ),
    ),
    (
        "GET with a Keystone token that the worker has seen",
        "{get_token_per_second:,.0f} a second",
    ),
    (
        "PUT of a fact, durable",
        (
            "{put_per_second:,.0f} a second, {put_ratio:.2g} times the gateway "
            "({put_gateway_per_second:,.0f}); CPU {put_worker_us:.0f} µs of the worker, "
            "{put_etcd_us:.0f} µs of etcd (gateway: {put_gateway_us:.0f})"
        ),
    ),
    (
        "creation of a fact",
        "{create_per_second:,.0f} a second; CPU {create_worker_us:.0f} µs of the worker",
    ),
    ("facts written in batches of 100", "{batch_per_second:,.0f} facts a second"),
    (
        "nine GETs to one PUT",
        "{mixed_per_second:,.0f} a second, {mixed_ratio:.2g} times the gateway",
    ),
    (
        "PUT until the last of {watch_count:,.0f} watchers has it",
        (
            "{watch_last_ms:.0f} ms (a bare asyncio broadcast: {watch_broadcast_ms:.0f} ms); "
            "CPU {watch_delivery_us:.0f} µs a delivery, {watch_kib:.0f} KiB of memory a watcher"
        ),
    ),
    (
        "heartbeats of members",
        (
            "{heartbeat_per_second:,.0f} a second, {heartbeat_ratio:.2g} times the gateway's "
            "keep-alive calls; 10,000 members with one every 30 s take "
            "{heartbeat_10k_core_percent:.0f} % of a core"
        ),
    ),
    (
        "start of a worker with 100,000 facts",
        "{start_seconds:.1f} s; {fact_kib_restarted:.1f} KiB of memory a fact",
    ),
    (
        "another project's requests while one floods the worker with GETs or PUTs, no rate set",
        "{flood_gets_no_rate_set:.2g} or {flood_puts_no_rate_set:.2g} times as long as alone",
    ),
    (
        "another project's requests while {boot_nodes:,.0f} nodes boot at once, default limits",
        "{boot_ratio:.2g} times as long as alone",
    ),
    (
        "1,000 nodes that boot at once and need each other ([example](examples/slurm/README.md))",
        "all agree after {nodes_seconds:.0f} s",
    ),
    (
        "{deaths_count:,.0f} members that die at once",
        "all reported within {deaths_seconds:.1f} s",
    ),
    (
        "one fact through Heat, against a launch configuration's metadata",
        (
            "readable after {heat_readable_ms:.1f} ms, {heat_readable_ratio:.0f} times as fast; "
            "the next write {heat_next_ratio:.0f} times as fast"
        ),
    ),
    (
        "one fact until a follower has it, against Zaqar with Redis",
        (
            "{zaqar_our_seen_ms:.1f} ms, {zaqar_seen_ratio:.2g} times as fast; "
            "reads {zaqar_read_ratio:.2g}, writes {zaqar_publish_ratio:.2g} times as many"
        ),
    ),
    (
        "the same against ZooKeeper",
        (
            "{zookeeper_our_seen_ms:.1f} ms, {zookeeper_seen_ratio:.2g} times as fast; "
            "reads {zookeeper_read_ratio:.2g}, writes {zookeeper_publish_ratio:.2g} times as many"
        ),
    ),
)


def table(figures: Mapping[str, float]) -> list[str]:
    """Return the lines of the table, without the rows that have not been measured."""
    rows = [row for row in ROWS if _needed(" ".join(row)) <= figures.keys()]
    lines = [f"| {what.format(**figures)} | {text.format(**figures)} |" for what, text in rows]
    return ["| measurement | figure |", "|---|---|", *lines]


def _needed(template: str) -> set[str]:
    return set(re.findall(r"\{(\w+):", template))
