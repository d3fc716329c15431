"""Waiters that are armed and met, alarms that are raised and cleared, and configurations that run."""

from __future__ import annotations

import random

from factstore.client import Stack
from factstore.client.errors import OutcomeUnknown, Refused, Unavailable
from tests.gate.clients import Actor
from tests.gate.world import World


class Conditions(Actor):
    """Arms one waiter after another, and writes the facts that they wait for.

    :ivar armed: the number of waiters whose arming was acknowledged.
    """

    def __init__(self, world: World, stack: str, number: int, seed: int) -> None:
        super().__init__(f"conditions-{number}", 0.05)
        self._stack: Stack = world.client().stack(stack)
        self._other: Stack = world.client().stack(stack)
        self._chance = random.Random(seed * 3000 + number)
        self._number = number
        self._count = 0
        self._cause: str | None = None
        self.armed = 0

    def step(self) -> None:
        """Arm a waiter, let it end, and delete it; swing the alarm, and run a configuration."""
        self._count += 1
        name = f"w{self._number}-{self._count}"
        path = f"go/{self._number}"
        try:
            if self._chance.random() < 0.3:
                self._stack.put(path, self._count)
                self._arm(name, path)
            else:
                self._arm(name, path)
                self._other.put(path, self._count)
            ended = self._stack.waiter(name).wait(5)
            if ended.ended:
                self._stack.waiter(name).delete()
            self._swing()
            self._configure()
        except (Refused, Unavailable, OutcomeUnknown):
            self._stopping.wait(0.1)

    def _arm(self, name: str, path: str) -> None:
        condition = {"facts": path, "equals": self._count}
        self._stack.waiter(name).arm(condition, timeout=self._chance.choice([2, 30]))
        self.armed += 1

    def _swing(self) -> None:
        alarm = self._stack.alarm(f"a{self._number}")
        path = f"load/{self._number}"
        condition = {"aggregate": {"function": "max", "facts": path, "at_least": 5}}
        if self._count == 1:
            alarm.set(condition)
        # Each change follows from the one before, so the path is reported as flapping.
        fact = self._other.acting_on(self._cause).put(path, 9 * (self._count % 2))
        self._cause = fact.etag

    def _configure(self) -> None:
        configuration = self._stack.configuration(f"m{self._number}", "setup")
        record = configuration.put("script", config=f"echo {self._count}")
        configuration.report(record.id, "complete", status_code=0)
