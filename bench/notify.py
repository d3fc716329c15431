"""Delivery to webhooks by a notifier, beside the webhooks of Zaqar where it is installed.

Each write goes to ten webhooks.  The two services run at the same time and are measured in turn.  The
times are from the response to a write until its event has arrived.  The writers run in this process,
and the receivers of each service in one of their own, on the same cores.
"""

from __future__ import annotations

import importlib.util
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.caller import Caller
from bench.goals import at_least, at_most
from bench.lab import Lab, cpu_microseconds
from bench.report import Report
from bench.webhooks import HOOKS, STACKS, Webhooks, hooks_of
from factstore.cmd.processes.notifier import NotifierProcess
from factstore.cmd.processes.ports import free_port

RATE = 500  # deliveries a second
WRITERS = 8
WAITING = 1000  # deliveries, at most, that wait while as many as possible are made
ROUNDS = 5
FAILING_SECONDS = 1.0
PATIENCE = 60.0
SETTLE_SECONDS = 5.0
"""After which a message that has not arrived counts as lost."""


@dataclass(frozen=True)
class Side:
    """A service that delivers what is published.

    :param new_publisher: returns a function that publishes a number.
    :param notifiers: process ids of the processes that deliver.
    """

    name: str
    new_publisher: Callable[[], Callable[[int], None]]
    notifiers: Callable[[], list[int]]


@dataclass(frozen=True)
class Measured:
    """The results of one run."""

    events: int
    deliveries: int
    lost: int
    repeated: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


class Numbers:
    """Numbers that are published once each."""

    def __init__(self) -> None:
        self._next = 0
        self._lock = threading.Lock()

    def take(self) -> int:
        """Return the next number."""
        with self._lock:
            self._next += 1
            return self._next


def measure(
    side: Side, hooks: Webhooks, numbers: Numbers, seconds: float, rate: float | None
) -> Measured:
    """Publish until a time is over; wait until all has arrived.

    :param rate: deliveries a second; None for as many as possible.
    """
    answered: dict[int, float] = {}
    began, receipts = time.perf_counter(), hooks.receipts
    cpu = sum(map(cpu_microseconds, side.notifiers()))

    def write(number_of_writer: int) -> None:
        publish = side.new_publisher()
        count = 0
        while (now := time.perf_counter()) < began + seconds:
            if rate is not None:
                due = began + (count * WRITERS + number_of_writer) * HOOKS / rate
                if due > now:
                    time.sleep(due - now)
            elif HOOKS * len(answered) - (hooks.receipts - receipts) > WAITING:
                time.sleep(0.001)
                continue
            number = numbers.take()
            publish(number)
            answered[number] = time.perf_counter()
            count += 1

    threads = [threading.Thread(target=write, args=[each]) for each in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost = _wait(hooks, answered)
    arrived = hooks.arrived()
    taken = [
        (number, arrived[each])
        for number in answered
        for each in hooks_of(number)
        if each in arrived
    ]
    times = sorted(max(0.0, at - answered[number]) * 1000 for number, at in taken)
    last = max(at for _, at in taken)
    spent = sum(map(cpu_microseconds, side.notifiers())) - cpu
    return Measured(
        events=len(answered),
        deliveries=len(taken),
        lost=lost,
        repeated=hooks.receipts - receipts - len(taken),
        rate=len(taken) / (last - began),
        p50_ms=times[len(times) // 2],
        p99_ms=times[int(len(times) * 0.99)],
        cpu_us=spent / len(taken),
    )


def _wait(hooks: Webhooks, numbers: Iterable[int]) -> int:
    """Wait until all has arrived, or until nothing has for some seconds; return what is missing."""
    missing = {each for number in numbers for each in hooks_of(number)} - hooks.arrived().keys()
    end = time.perf_counter() + PATIENCE
    quiet_until = time.perf_counter() + SETTLE_SECONDS
    while missing and time.perf_counter() < min(end, quiet_until):
        time.sleep(0.05)
        left = missing - hooks.arrived().keys()
        if len(left) < len(missing):
            missing, quiet_until = left, time.perf_counter() + SETTLE_SECONDS
    return len(missing)


def _lost_by_failures(side: Side, hooks: Webhooks, numbers: Numbers) -> int:
    """Return how many of a hundred deliveries never arrive if the receiver fails for a second."""
    publish, published = side.new_publisher(), [numbers.take() for _ in range(100 // HOOKS)]
    hooks.fail(True)
    for number in published:
        publish(number)
    time.sleep(FAILING_SECONDS)
    hooks.fail(False)
    return _wait(hooks, published)


@dataclass
class Results:
    """The results of a side, one for each round."""

    steady: list[Measured] = field(default_factory=list)
    most: list[Measured] = field(default_factory=list)
    lost_by_failures: int = 0

    @property
    def p99_ms(self) -> float:
        return statistics.median(each.p99_ms for each in self.steady)

    @property
    def rate(self) -> float:
        return statistics.median(each.rate for each in self.most)

    @property
    def cpu_us(self) -> float:
        return statistics.median(each.cpu_us for each in self.most)


def run(report: Report, seconds: float) -> None:
    """Measure the service, and Zaqar if it is installed."""
    report.section(
        f"Delivery to {STACKS * HOOKS} webhooks, {RATE} deliveries a second",
        [
            *("", "events", "deliveries", "lost", "repeated"),
            *("ms until half", "99 % have arrived", "CPU µs a delivery"),
            *("deliveries a second at most", "CPU µs a delivery then"),
            "lost of 100 after status 503",
        ],
    )
    with ExitStack() as running:
        makers = [_service] if importlib.util.find_spec("zaqar") is None else [_service, _zaqar]
        sides = [(*make(running), Numbers(), Results()) for make in makers]
        for side, hooks, numbers, _ in sides:
            measure(side, hooks, numbers, 1, RATE / 5)  # connections are made
        for _ in range(ROUNDS):
            for side, hooks, numbers, results in sides:
                results.steady.append(measure(side, hooks, numbers, seconds, RATE))
            for side, hooks, numbers, results in sides:
                results.most.append(measure(side, hooks, numbers, seconds, None))
        for side, hooks, numbers, results in sides:
            results.lost_by_failures = _lost_by_failures(side, hooks, numbers)
            _show(report, side, results)
    ours, *theirs = (results for *_, results in sides)
    what = "ms until 99 % have arrived"
    report.line(
        f"{what}: {ours.p99_ms:.0f} (target {report.goal(what, ours.p99_ms, at_most(250))})"
    )
    for other in theirs:
        faster = statistics.median(
            a.rate / b.rate for a, b in zip(ours.most, other.most, strict=True)
        )
        what = "deliveries a second, times Zaqar"
        report.line(f"{what}: {faster:.1f} (target {report.goal(what, faster, at_least(10))})")
        report.line(f"processor time of Zaqar for one: {other.cpu_us / ours.cpu_us:.1f} times")
    if not theirs:
        report.line("Zaqar is not installed.")
    report.figure("notify_p99_ms", ours.p99_ms)
    report.figure("notify_rate", ours.rate)


def _show(report: Report, side: Side, results: Results) -> None:
    steady = results.steady
    report.row(
        side.name,
        f"{sum(each.events for each in steady)}",
        f"{sum(each.deliveries for each in steady)}",
        f"{sum(each.lost for each in (*steady, *results.most))}",
        f"{sum(each.repeated for each in (*steady, *results.most))}",
        f"{statistics.median(each.p50_ms for each in steady):.1f}",
        f"{results.p99_ms:.1f}",
        f"{statistics.median(each.cpu_us for each in steady):.0f}",
        f"{results.rate:.0f}",
        f"{results.cpu_us:.0f}",
        f"{results.lost_by_failures}",
    )


def _service(running: ExitStack) -> tuple[Side, Webhooks]:
    """Start the service and a notifier, and return them with the receivers of their messages."""
    port = free_port()
    network = {"allow_http": "true", "allow_cidrs": "127.0.0.0/8"}
    lab = running.enter_context(Lab(options={"notify": {**network, "port": port}}))
    hooks = running.enter_context(Webhooks())
    notifier = NotifierProcess([lab.config], port, Path(lab.state) / "notify.log")
    notifier.start()
    running.callback(notifier.kill)
    notifier.wait_ready(PATIENCE)
    caller = running.enter_context(lab.caller())
    made = [
        caller.request(
            "POST",
            "/v1/subscriptions",
            {"target": hooks.url(hook), "stacks": [f"s{hook // HOOKS}"]},
        ).json()["id"]
        for hook in range(STACKS * HOOKS)
    ]
    end = time.monotonic() + PATIENCE
    for each in made:
        while caller.request("GET", f"/v1/subscriptions/{each}").json()["state"] != "active":
            if time.monotonic() > end:
                raise TimeoutError("a subscription was not confirmed")
            time.sleep(0.05)

    def new_publisher() -> Callable[[int], None]:
        own = running.enter_context(lab.caller())

        def publish(number: int) -> None:
            path = f"/v1/stacks/s{number % STACKS}/facts/load"
            own.request("PUT", path, {"value": f"w{number:09d}"})

        return publish

    return Side("factstore", new_publisher, lambda: [notifier.child.pid]), hooks


def _zaqar(running: ExitStack) -> tuple[Side, Webhooks]:
    """Start Zaqar, and return it with the receivers of its messages."""
    from bench.zaqar import Zaqar, new_headers

    server = running.enter_context(
        Zaqar({"storage": {"message_pipeline": "zaqar.notification.notifier"}})
    )
    hooks = running.enter_context(Webhooks())
    caller = running.enter_context(Caller(server.url, new_headers()))
    for hook in range(STACKS * HOOKS):
        body = {"subscriber": hooks.url(hook), "ttl": 3600, "options": {}}
        caller.request("POST", f"/v2/queues/s{hook // HOOKS}/subscriptions", body)

    def new_publisher() -> Callable[[int], None]:
        own = running.enter_context(Caller(server.url, new_headers()))

        def publish(number: int) -> None:
            message = {"ttl": 3600, "body": {"value": f"w{number:09d}"}}
            path = f"/v2/queues/s{number % STACKS}/messages"
            own.request("POST", path, {"messages": [message]})

        return publish

    return Side("Zaqar", new_publisher, lambda: server.workers), hooks
