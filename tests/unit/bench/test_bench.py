"""The benchmark's own logic: orders, ratios, targets and pages; no server is started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench import capacity, floor, load, pages, peers, quiet, readme, report, rounds
from bench.goals import at_least, at_most
from bench.parts import PARTS
from bench.report import Part, Section
from tests.docs.pages import ROOT
from tests.eventually import eventually

PRINTED = "  {requests} requests in 1.00s, 1MB read\n{more}Requests/sec:  {rate}\n"


@dataclass
class Servers:
    """Processes whose CPU time grows by a microsecond for each request."""

    workers: list[int] = field(default_factory=lambda: [1])
    stores: list[int] = field(default_factory=lambda: [2])


def test_sides_run_in_turn_after_a_round_that_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []
    cpu = {1: 0, 2: 0}

    def run(target: load.Target, seconds: float, connections: int) -> load.Load:
        order.append(target.url)
        requests = 100 * len(order)
        cpu[1] += requests * 30
        cpu[2] += requests * 10
        return load.Load(requests, float(requests))

    monkeypatch.setattr(load, "run", run)
    monkeypatch.setattr(rounds, "cpu_microseconds", cpu.__getitem__)
    sides = {
        name: rounds.Side(Servers(), load.Target(name, ""), each=each)
        for name, each in (("a", 1), ("b", 10))
    }
    found = rounds.in_turn(sides, rounds=2, seconds=1)
    assert order == ["a", "b"] * 3
    assert [run.per_second for run in found["b"].runs] == [4000, 6000]
    assert (found["a"].worker_us, found["a"].store_us) == (30, 10)
    assert (found["b"].worker_us, found["b"].store_us) == (3, 1)
    assert found["b"].against(found["a"]) == [4000 / 300, 6000 / 500]
    order.clear()
    rounds.in_turn(sides, rounds=2, seconds=0.1, warm=False)
    assert order == ["a", "b"] * 2


def test_a_load_runs_until_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed, begun = PRINTED.format(requests=1, rate="2.0", more=""), tmp_path / "begun"
    wrk = tmp_path / "wrk"
    wrk.write_text(
        f"#!/bin/sh\ntrap 'printf \"{printed}\"; exit' INT\ntouch {begun}\n"
        "while :; do sleep 0.01; done\n"
    )
    wrk.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with load.running(load.Target("http://x", "")) as running:
        eventually(begun.exists)
        assert running.printed == ""
    assert running.printed == printed


def test_a_load_that_ended_before_it_began_is_repeated_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = ["", PRINTED.format(requests=7, rate="70.0", more=""), ""]

    @contextmanager
    def running(target: load.Target, connections: int) -> Iterator[load.Running]:
        yield load.Running(outputs.pop(0))

    monkeypatch.setattr(load, "running", running)
    target = load.Target("http://x", "")
    assert load.run(target, 0) == load.Load(7, 70)
    outputs.append("")
    with pytest.raises(load.LoadError):
        load.run(target, 0)


def test_the_machine_is_busy_with_all_but_idle_time() -> None:
    line = "cpu  10 20 30 400 50 6 7 8 10 0\n"
    assert quiet.processor_times(line) == (81, 531)


class Board:
    """A fact of a peer that answers at once."""

    def __init__(self) -> None:
        self.text = ""

    def publish(self, text: str) -> None:
        self.text = text

    def read(self) -> str:
        return self.text

    def read_old(self) -> str:
        raise NotImplementedError

    def follow(self) -> AbstractContextManager[Callable[[str], None]]:
        def seen(text: str) -> None:
            assert self.text == text

        return nullcontext(seen)

    def close(self) -> None:
        self.text = ""


def test_peers_do_the_same_jobs_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SECONDS", 0.001)
    sides = [peers.Peer(name, lambda name: Board(), lambda: [os.getpid()]) for name in "ab"]
    found = peers.run(*sides, rounds=2, reads=[peers.READ])
    assert list(found) == [
        "publish",
        "read",
        "publish until seen",
        "publish, 16 callers",
        "read, 16 callers",
    ]
    for pair in found.values():
        for job in pair:
            assert [len(each) for each in (job.ms, job.cpu_us, job.caller_us)] == [2, 2, 2]


def test_the_output_of_wrk_is_read() -> None:
    printed = PRINTED.format(requests=1234, rate="987.65", more="")
    assert load.parsed(printed, "http://x") == load.Load(1234, 987.65)


@pytest.mark.parametrize(
    ("requests", "more"),
    [
        (10, "  Non-2xx or 3xx responses: 3\n"),
        (10, "  Socket errors: connect 0, read 1, write 0, timeout 0\n"),
    ],
)
def test_a_load_with_errors_fails(requests: int, more: str) -> None:
    with pytest.raises(load.LoadError):
        load.parsed(PRINTED.format(requests=requests, rate="10.0", more=more), "http://x")


def test_the_times_of_etcd_alone_are_compared_with_the_peer() -> None:
    theirs = peers.Job(ms=[1.0, 3.0, 2.0])
    line = floor.shown({"publish": 0.5}, "Zaqar", {"publish": (peers.Job(), theirs)})
    assert line.endswith(": publish 0.5 ms, for which Zaqar takes 4.0 times as long")


def test_a_target_is_a_lower_or_an_upper_limit() -> None:
    assert [at_least(2.5).met(figure) for figure in (2.49, 2.5, 3)] == [False, True, True]
    assert [at_most(1.2).met(figure) for figure in (1.1, 1.2, 1.21)] == [True, True, False]
    assert (str(at_least(0.75)), str(at_most(10))) == ("≥ 0.75", "≤ 10")


def test_a_run_of_some_parts_keeps_the_results_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = Part(["machine"], sections=[Section("Old", ["a line"])], figures={"x": 1.0})
    report.save({"reads": first, "writes": Part(["machine"])}, path)
    kept = {**report.load(path), "writes": Part(["another"], goals=[["PUT", 0.5, "≥ 0.75", False]])}
    lines = list(pages.results(kept, []))
    assert kept["reads"] == first
    assert "## Targets: 0 of 1 met" in lines
    assert "| PUT | 0.50 | ≥ 0.75 | **not met** |" in lines
    assert "* a line" in lines
    assert {"* machine (reads)", "* another (writes)"} <= set(lines)
    assert not any("other programs" in line for line in lines)
    kept["reads"].busy = 0.034
    quiet_lines = set(pages.results(kept, []))
    assert "* When a part began, other programs used at most 3% of the processors." in quiet_lines


def test_lines_of_a_chart_come_from_all_parts() -> None:
    reads = Part([], series={"connections": {"GET": [(1, 10)]}})
    writes = Part([], series={"connections": {"PUT": [(1, 5)]}, "values": {"PUT": [(1, 1)]}})
    lines = pages.lines_of({"reads": reads, "writes": writes}, "connections")
    assert lines == {"GET": [(1, 10)], "PUT": [(1, 5)]}


def test_the_readme_shows_the_figures_that_were_measured() -> None:
    table = readme.table({"get_token_per_second": 12345.6, "batch_per_second": 5e4})
    assert table[2:] == [
        "| GET with a Keystone token that the worker has seen | 12,346 a second |",
        "| facts written in batches of 100 | 50,000 facts a second |",
    ]


def test_the_capacity_is_the_quotient_of_a_budget_and_a_cost() -> None:
    table = capacity.table({"get_worker_us": 25.0, "watch_kib": 4.0, "put_etcd_us": 0.0})
    assert table[8:] == [
        "   * - GETs a second, half a core of a worker",
        "     - 500,000 µs / 25 µs",
        "     - 20,000",
        "   * - watchers, one GiB of a worker",
        "     - 1 GiB / 4.0 KiB",
        "     - 260,000",
    ]


def test_the_table_in_the_readme_can_be_replaced() -> None:
    page = (ROOT / "README.md").read_text()
    replaced = pages.with_table(page, ["| new |"])
    assert f"{pages.BEGIN}\n\n| new |\n\n{pages.END}" in replaced
    assert pages.with_table(replaced, ["| new |"]) == replaced


def test_the_written_pages_are_those_of_the_data() -> None:
    parts = report.load()
    if not parts:
        pytest.skip("no results have been written")
    charts = list(dict.fromkeys(chart for part in parts.values() for chart in part.series))
    assert set(parts) <= PARTS.keys()
    assert pages.RESULTS.read_text() == "\n".join(pages.results(parts, charts)) + "\n"
    figures = {name: number for part in parts.values() for name, number in part.figures.items()}
    assert pages.CAPACITY.read_text() == "\n".join(capacity.table(figures)) + "\n"
    text = (ROOT / "README.md").read_text()
    assert pages.with_table(text, readme.table(figures)) == text
    assert pages.HEAT.read_text() == "\n".join(pages.comparison(parts["heat"])) + "\n"
