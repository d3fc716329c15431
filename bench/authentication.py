"""The cost of Keystone tokens that are new to the worker, against tokens that it has seen."""

from __future__ import annotations

import statistics
import time

from bench.caller import Caller
from bench.lab import Lab, cpu_microseconds
from bench.report import Report

TOKENS = 40
PATH = "/v1/stacks/s0/facts/nodes/n0/ip"


def run(lab: Lab, report: Report) -> None:
    """GET a fact once with each of many new tokens, and once again."""
    assert lab.keystone is not None
    tokens = [lab.keystone.accounts.issue("owner") for _ in range(TOKENS)]
    with Caller(lab.url) as caller:
        before = cpu_microseconds(lab.worker)
        new = [_timed(caller, token) for token in tokens]
        spent = (cpu_microseconds(lab.worker) - before) / len(tokens)
        known = [_timed(caller, token) for token in tokens]
    report.section("Keystone tokens, one caller")
    report.line(
        f"the first GET with a token takes {statistics.median(new):.1f} ms, "
        f"{spent / 1000:.1f} ms of it the worker's CPU; the next {statistics.median(known):.1f} ms"
    )
    report.figure("token_new_ms", statistics.median(new))


def _timed(caller: Caller, token: str) -> float:
    began = time.perf_counter()
    caller.request("GET", PATH, headers={"X-Auth-Token": token})
    return (time.perf_counter() - began) * 1000
