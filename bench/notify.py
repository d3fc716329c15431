"""Delivery to webhooks by a notifier, beside the webhooks of Zaqar where it is installed.

The times are from the response to a write until its event has arrived. The writers and the receivers
run in this process, on the same cores.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.caller import Caller
from bench.goals import at_least, at_most
from bench.lab import STACKS, Lab, cpu_microseconds
from bench.report import Report
from factstore.cmd.processes.notifier import NotifierProcess
from factstore.cmd.processes.ports import free_port

RATE = 500  # deliveries a second
WRITERS = 8
FAILING_SECONDS = 1.0
PATIENCE = 60.0
SETTLE_SECONDS = 5.0
"""After which a message that has not arrived counts as lost."""

_NUMBER = re.compile(rb"w([0-9]{9})")
_CHALLENGE = re.compile(rb'"challenge": ?"([^"]+)"')


@dataclass
class Webhooks:
    """A server that notes when each number arrived; a context manager that runs it in a thread."""

    failing: bool = False
    arrived: dict[int, float] = field(default_factory=dict)
    receipts: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
            server = self._loop.run_until_complete(starting)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            self._loop.run_forever()
            server.close()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def url(self) -> str:
        """The target of messages."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                challenge = _CHALLENGE.search(body)
                text = b'{"challenge":"%s"}' % challenge[1] if challenge else b"{}"
                status = b"200 OK" if challenge or not self.failing else b"503 Busy"
                if not challenge:
                    self.receipts += 1
                    if not self.failing:
                        # The previous value of a fact has a smaller number.
                        number = max(map(int, _NUMBER.findall(body)))
                        self.arrived.setdefault(number, time.perf_counter())
                writer.write(
                    b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text)
                )
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()


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

    published: int
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
    """Publish at a rate, or as fast as possible, until a time is over; wait until all has arrived."""
    answered: dict[int, float] = {}
    began, receipts = time.perf_counter(), hooks.receipts
    cpu = sum(map(cpu_microseconds, side.notifiers()))

    def write(number_of_writer: int) -> None:
        publish = side.new_publisher()
        count = 0
        while (now := time.perf_counter()) < began + seconds:
            if rate is not None:
                due = began + (count * WRITERS + number_of_writer) / rate
                if due > now:
                    time.sleep(due - now)
            number = numbers.take()
            publish(number)
            answered[number] = time.perf_counter()
            count += 1

    threads = [threading.Thread(target=write, args=[each]) for each in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _wait(hooks, answered)
    taken = [(n, hooks.arrived[n]) for n in answered if n in hooks.arrived]
    times = sorted(max(0.0, at - answered[n]) * 1000 for n, at in taken)
    last = max(at for _, at in taken)
    spent = sum(map(cpu_microseconds, side.notifiers())) - cpu
    return Measured(
        published=len(answered),
        lost=len(answered) - len(taken),
        repeated=hooks.receipts - receipts - len(taken),
        rate=len(taken) / (last - began),
        p50_ms=times[len(times) // 2],
        p99_ms=times[int(len(times) * 0.99)],
        cpu_us=spent / len(taken),
    )


def _wait(hooks: Webhooks, answered: dict[int, float]) -> None:
    """Wait until all numbers have arrived, or until none has for some seconds."""
    end, known = time.perf_counter() + PATIENCE, -1
    while (found := len(answered.keys() & hooks.arrived.keys())) < len(answered):
        if found == known or time.perf_counter() > end:
            return
        known, pause = found, time.perf_counter() + SETTLE_SECONDS
        while time.perf_counter() < pause and len(answered.keys() & hooks.arrived.keys()) < len(
            answered
        ):
            time.sleep(0.05)


def _lost_by_failures(side: Side, hooks: Webhooks, numbers: Numbers) -> int:
    """Return how many of a hundred messages never arrive if the receiver fails for a second."""
    publish, published = side.new_publisher(), [numbers.take() for _ in range(100)]
    hooks.failing = True
    for number in published:
        publish(number)
    time.sleep(FAILING_SECONDS)
    hooks.failing = False
    _wait(hooks, dict.fromkeys(published, 0.0))
    return len(set(published) - hooks.arrived.keys())


def run(report: Report, seconds: int) -> None:
    """Measure the service, and Zaqar if it is installed."""
    report.section(
        f"Delivery to {STACKS} webhooks, {RATE} events a second",
        [
            *("", "events", "lost", "repeated", "ms until half", "99 % have arrived"),
            *("CPU µs a delivery", "deliveries a second at most", "lost of 100 after status 503"),
        ],
    )
    ours = _service(report, seconds)
    theirs = _zaqar(report, seconds)
    p99, most = ours[0].p99_ms, ours[1].rate
    goal = at_most(250)
    report.line(f"ms until 99 % have arrived: {p99:.0f} (target {report.goal('p99', p99, goal)})")
    if theirs is not None:
        ratio, wanted = most / theirs[1].rate, at_least(10)
        what = "deliveries a second, times Zaqar"
        report.line(f"{what}: {ratio:.1f} (target {report.goal(what, ratio, wanted)})")
    report.figure("notify_p99_ms", p99)
    report.figure("notify_rate", most)


def _run_side(
    report: Report, side: Side, hooks: Webhooks, seconds: int
) -> tuple[Measured, Measured]:
    numbers = Numbers()
    measure(side, hooks, numbers, 1, RATE / 5)  # connections are made
    steady = measure(side, hooks, numbers, 5 * seconds, RATE)
    most = measure(side, hooks, numbers, 2 * seconds, None)
    failures = _lost_by_failures(side, hooks, numbers)
    report.row(
        side.name,
        f"{steady.published}",
        f"{steady.lost}",
        f"{steady.repeated}",
        f"{steady.p50_ms:.1f}",
        f"{steady.p99_ms:.1f}",
        f"{steady.cpu_us:.0f}",
        f"{most.rate:.0f}",
        f"{failures}",
    )
    return steady, most


def _service(report: Report, seconds: int) -> tuple[Measured, Measured]:
    port = free_port()
    options = {"allow_http": "true", "allow_cidrs": "127.0.0.0/8", "port": port}
    with ExitStack() as running:
        lab = running.enter_context(Lab(options={"notify": options}))
        hooks = running.enter_context(Webhooks())
        notifier = NotifierProcess([lab.config], port, Path(lab.state) / "notify.log")
        notifier.start()
        running.callback(notifier.kill)
        notifier.wait_ready(PATIENCE)
        caller = running.enter_context(lab.caller())
        made = [
            caller.request(
                "POST", "/v1/subscriptions", {"target": hooks.url, "stacks": [f"s{number}"]}
            ).json()["id"]
            for number in range(STACKS)
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

        side = Side("factstore", new_publisher, lambda: [notifier.child.pid])
        return _run_side(report, side, hooks, seconds)


def _zaqar(report: Report, seconds: int) -> tuple[Measured, Measured] | None:
    if importlib.util.find_spec("zaqar") is None:
        report.line("Zaqar is not installed.")
        return None
    from bench.zaqar import Zaqar, new_headers

    options = {"storage": {"message_pipeline": "zaqar.notification.notifier"}}
    with ExitStack() as running:
        server = running.enter_context(Zaqar(options))
        hooks = running.enter_context(Webhooks())
        caller = running.enter_context(Caller(server.url, new_headers()))
        for number in range(STACKS):
            body = {"subscriber": hooks.url, "ttl": 3600, "options": {}}
            caller.request("POST", f"/v2/queues/s{number}/subscriptions", body)

        def new_publisher() -> Callable[[int], None]:
            own = running.enter_context(Caller(server.url, new_headers()))

            def publish(number: int) -> None:
                message = {"ttl": 3600, "body": {"value": f"w{number:09d}"}}
                path = f"/v2/queues/s{number % STACKS}/messages"
                own.request("POST", path, {"messages": [message]})

            return publish

        side = Side("Zaqar", new_publisher, lambda: server.workers)
        return _run_side(report, side, hooks, seconds)
