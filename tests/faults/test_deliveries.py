"""Deliveries while notifiers are killed and receivers fail.

Every event is delivered at least once and in order, an event that is delivered again has the same id,
and nothing is delivered after the deletion of a subscription was acknowledged.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.notify.notifier_lease import TTL
from tests.eventually import eventually
from tests.faults.conftest import StartApi
from tests.faults.receivers import FAULTS, GOOD, Box, Receivers
from tests.http import Caller
from tests.service import ApiServer, make_notifier

ALLOWED = {"allow_http": "true", "allow_cidrs": "127.0.0.0/8"}
NOTIFIERS = 2
PAUSE = 0.04  # seconds between two writes, each of which goes to ten subscriptions
PAUSED_SECONDS = TTL + 5.0
LONG = 150.0  # seconds; a receiver that failed for a minute waits for the next attempt as long


@dataclass
class Size:
    """The size of the run, by the scale of the fault tests."""

    scale: int
    subscriptions: int = field(init=False)
    stacks: int = field(init=False)
    kills: int = field(init=False)

    def __post_init__(self) -> None:
        self.subscriptions, self.stacks = 20 * self.scale, 2 * self.scale
        self.kills = 2 * self.scale


class Notifiers:
    """Notifiers on one etcd, each of which can be killed."""

    def __init__(self, endpoint: str, api: ApiServer, directory: Path) -> None:
        self.processes = []
        for number in range(NOTIFIERS):
            port, config = free_port(), directory / f"notifier-{number}.conf"
            write_options(
                config,
                {
                    "DEFAULT": {"auth_strategy": "none"},
                    "etcd": {"endpoints": endpoint},
                    "notify": {**ALLOWED, "port": port},
                    "sealing": {"key_repository": str(api.sealing_keys)},
                },
            )
            log = directory / f"notifier-{number}.log"
            self.processes.append(make_notifier([config], port, log))

    def __enter__(self) -> Notifiers:
        for each in self.processes:
            each.start()
        for each in self.processes:
            each.wait_ready(90)
        return self

    def __exit__(self, *exception: object) -> None:
        for each in self.processes:
            each.kill()

    def kill(self, which: random.Random) -> None:
        """Kill one, and start it again."""
        chosen = which.choice(self.processes)
        chosen.kill()
        chosen.start()
        chosen.wait_ready(90)

    def pause(self, which: random.Random) -> None:
        """Pause one until others own its subscriptions, and let it continue as if nothing had been."""
        chosen = which.choice(self.processes)
        chosen.child.pause()
        time.sleep(PAUSED_SECONDS)
        chosen.child.resume()
        chosen.wait_ready(90)

    def check_logs(self) -> None:
        for each in self.processes:
            assert "Traceback" not in each.log_path.read_text(errors="replace")


@dataclass
class Subscribed:
    """A subscription, its receiver, and the instant at which its deletion was acknowledged."""

    id: str
    stack: str
    box: Box
    deleted_at: float | None = None


def subscribe(api: Caller, receivers: Receivers, stack: str, **options: Any) -> Subscribed:
    """Create a subscription with a receiver of its own."""
    path = f"/{stack}/{len(receivers.boxes)}"
    box = receivers.boxes[path]
    body = {"target": f"http://127.0.0.1:{receivers.port}{path}", "stacks": [stack], **options}
    answer = api.post("/v1/subscriptions", json=body)
    assert answer.status_code == 201, answer.text
    box.secret = answer.json()["secret"]
    return Subscribed(answer.json()["id"], stack, box)


def state(api: Caller, subscribed: Subscribed) -> str:
    found: str = api.get(f"/v1/subscriptions/{subscribed.id}").json()["state"]
    return found


def delete(api: Caller, subscribed: Subscribed) -> bool:
    """Delete a subscription; return False if that is not acknowledged yet."""
    answer = api.delete(f"/v1/subscriptions/{subscribed.id}")
    return answer.status_code in (204, 404)


@contextmanager
def writing(api: ApiServer, stacks: list[str]) -> Iterator[dict[str, list[int]]]:
    """Write to all stacks, and yield the revisions of the writes of each that were acknowledged."""
    written: dict[str, list[int]] = {stack: [] for stack in stacks}
    stop = threading.Event()

    def write() -> None:
        with Caller(api.url) as caller:
            number = 0
            while not stop.wait(PAUSE):
                number += 1
                stack = stacks[number % len(stacks)]
                answer = caller.put(f"/v1/stacks/{stack}/facts/load/{number % 7}", number)
                assert answer.status_code in (200, 201), answer.text
                written[stack].append(answer.json()["revision"])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        stop.set()
        thread.join()


@contextmanager
def disturbing(subscribed: list[Subscribed], chance: random.Random) -> Iterator[None]:
    """Let a third of the receivers misbehave, others every second; in the end all are good."""
    stop = threading.Event()

    def disturb() -> None:
        while not stop.wait(1):
            for each in subscribed:
                each.box.mode = chance.choice(FAULTS) if chance.random() < 1 / 3 else GOOD

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for each in subscribed:
            each.box.mode = GOOD


def check(subscribed: Subscribed, written: list[int]) -> int:
    """Check what a receiver got; return the number of events that it got more than once."""
    assert subscribed.box.wrong == []
    newest, seen = 0, {}
    repeated = 0
    for receipt in subscribed.box.receipts:
        if subscribed.deleted_at is not None:
            assert receipt.at <= subscribed.deleted_at
        for event in receipt.events:
            assert not event["type"].endswith(".gap")
            if not event["type"].endswith(".change"):
                continue
            revision = int(event["data"]["cursor"].rpartition(".")[2])
            if revision in seen:
                repeated += 1
                assert seen[revision] == event["id"]
            else:
                assert revision > newest, "an event was delivered after a later one"
                newest, seen[revision] = revision, event["id"]
            assert {change["stack"] for change in event["data"]["changes"]} == {subscribed.stack}
    if subscribed.deleted_at is None:
        assert set(written) <= seen.keys()
    else:  # whatever it got, it got without a hole
        last = max(seen, default=0)
        assert {each for each in written if each <= last} <= seen.keys()
    return repeated


@pytest.mark.timeout(1800)
def test_no_event_is_lost_while_notifiers_are_killed_and_receivers_fail(
    etcd_server: EtcdServer, start_api: StartApi, tmp_path: Path, scale: int, seed: int
) -> None:
    chance, size = random.Random(seed), Size(scale)
    options = {"notify": ALLOWED, "limits": {"subscriptions": -1}}
    server = start_api([etcd_server.endpoint], options=options)
    stacks = [f"s{number}" for number in range(size.stacks)]
    with ExitStack() as running:
        receivers = running.enter_context(Receivers())
        api = running.enter_context(Caller(server.url))
        notifiers = running.enter_context(Notifiers(etcd_server.endpoint, server, tmp_path))
        subscribed = [
            subscribe(
                api,
                receivers,
                stacks[number % len(stacks)],
                **({"max_events": 20, "max_delay": 1} if number % 4 == 0 else {}),
            )
            for number in range(size.subscriptions)
        ]
        for each in subscribed:
            eventually(lambda each=each: state(api, each) == "active", 60)
        doomed = subscribed[1 :: max(3, len(subscribed) // (2 * size.kills))]
        with writing(server, stacks) as written, disturbing(subscribed, chance):
            for _ in range(size.kills):
                notifiers.kill(chance)
                for each in [doomed.pop() for _ in range(2) if doomed]:
                    # The notifier that owned it may have been killed.
                    eventually(lambda each=each: delete(api, each), 60)
                    each.deleted_at = time.monotonic()
            if scale > 1:
                notifiers.pause(chance)
        for each in subscribed:
            if each.deleted_at is None:
                wanted = set(written[each.stack])
                eventually(
                    lambda each=each, wanted=wanted: wanted <= set(each.box.revisions()), LONG
                )
        repeated = sum(check(each, written[each.stack]) for each in subscribed)
        deleted = sum(each.deleted_at is not None for each in subscribed)
        assert deleted >= size.kills
        assert receivers.elsewhere == 0
        notifiers.check_logs()
        revisions = sum(map(len, written.values()))
        receipts = sum(len(each.box.receipts) for each in subscribed)
        print(
            f"{len(subscribed)} subscriptions, {len(stacks)} stacks, {revisions} writes, "
            f"{receipts} messages, {repeated} events repeated, {deleted} deleted, {size.kills} kills"
        )


def test_receivers_that_hang_do_not_delay_others(
    etcd_server: EtcdServer, start_api: StartApi, tmp_path: Path
) -> None:
    server = start_api([etcd_server.endpoint], options={"notify": ALLOWED})
    with ExitStack() as running:
        receivers = running.enter_context(Receivers())
        api = running.enter_context(Caller(server.url))
        running.enter_context(Notifiers(etcd_server.endpoint, server, tmp_path))
        subscribed = [subscribe(api, receivers, "s") for _ in range(30)]
        for each in subscribed:
            eventually(lambda each=each: state(api, each) == "active", 60)
        good, hanging = subscribed[0], subscribed[1:]
        for each in hanging:
            each.box.mode = "hang"
        for number in range(10):
            api.put("/v1/stacks/s/facts/f", number).raise_for_status()
        # One after another, the first attempts alone would take 29 times 10 seconds.
        eventually(lambda: len(good.box.revisions()) == 10, 60)
        assert all(len(set(each.box.revisions())) <= 1 for each in hanging)
