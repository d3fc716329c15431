"""Members that send heartbeats, facts with a ttl, and turns."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from factstore.client import Member, Stack
from factstore.client.errors import (
    Conflict,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unavailable,
    UnexpectedAnswer,
)
from tests.faults.checker import Scope
from tests.gate.clients import PROJECT, Actor
from tests.gate.recording import Hold, Life, Renewal
from tests.gate.world import World

T = TypeVar("T")

TTL = 5  # seconds; the shortest
PACE = 1.0  # seconds between two renewals of half of the time
QUEUE = "apply"


@dataclass
class Living:
    """A life that is still renewed."""

    name: str
    born: int
    renewals: list[Renewal] = field(default_factory=list)

    def due(self) -> float:
        """Return the instant before which it must not expire."""
        return max(each.started for each in self.renewals) + TTL


class LiveMember(Actor):
    """A member with a bound fact, and a fact with a ttl.

    It is often renewed at about the time at which it expires, because several workers decide then what
    happens.
    """

    def __init__(
        self, world: World, stack: str, number: int, seed: int, *, takes_turns: bool
    ) -> None:
        super().__init__(f"m{number}", PACE)
        self.lives: list[Life] = []
        self.holds: list[Hold] = []
        self._scope = Scope(PROJECT, stack)
        self._stack: Stack = world.client().stack(stack)
        self._chance = random.Random(seed * 2000 + number)
        self._takes_turns = takes_turns
        self._paused = threading.Event()
        self._member: Member = self._stack.member(self.name)
        self._life: Living | None = None
        self._fact: Living | None = None
        self._path = f"ttl/{self.name}"

    def pause(self) -> None:
        """Send nothing until :meth:`resume`, as an instance that is frozen."""
        self._paused.set()

    def resume(self) -> None:
        self._paused.clear()

    def step(self) -> None:
        """Join or send a heartbeat, renew the fact, and perhaps take a turn."""
        self._pace = self._chance.choice([PACE, self._chance.uniform(PACE / 2, TTL + PACE)])
        if self._paused.is_set():
            return
        self._beat()
        self._put()
        if self._takes_turns and self._life is not None:
            self._take_turn()

    def finish(self) -> None:
        """Close the lives that were not known to have ended."""
        for living in (self._life, self._fact):
            self._close(living)

    def _beat(self) -> None:
        started = time.monotonic()
        if self._life is None:
            self._member.generation = None
            joined = self._try(lambda: self._member.join("g", ttl=TTL))
            if joined is not None:
                self._life = Living(f"member:{self.name}", joined.revision)
                self._renew(self._life, started)
                self._try(lambda: self._stack.put(f"bound/{self.name}", 1, member=self.name))
            return
        try:
            self._member.heartbeat()
            self._renew(self._life, started)
            if self._chance.random() < 0.1:
                self._member.ready()
        except (NotFound, Conflict):
            self._life = self._close(self._life)
        except (Unavailable, OutcomeUnknown):
            pass

    def _put(self) -> None:
        started = time.monotonic()
        fact = self._try(lambda: self._stack.put(self._path, 1, ttl=TTL))
        if fact is None:
            return
        if self._fact is None or fact.revision != self._fact.born:
            self._fact = self._close(self._fact) or Living(self._path, fact.revision)
        self._renew(self._fact, started)

    def _take_turn(self) -> None:
        turn = self._stack.turn(QUEUE, self.name, generation=self._member.generation)
        taken = self._try(lambda: turn.take(wait=1))
        if taken is None:
            return
        started = time.monotonic()
        if taken.holds:
            self._stopping.wait(self._chance.uniform(0, 0.3))
            ended = time.monotonic()
            if self._life is not None and ended < self._life.due():
                self.holds.append(Hold(QUEUE, self.name, started, ended))
            self._try(turn.give_back)

    def _try(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except UnexpectedAnswer as error:
            self.complaints.append(f"{self.name}: {error!r} {error.status}")
        except (Refused, Unavailable, OutcomeUnknown):
            pass
        return None

    def _renew(self, living: Living, started: float) -> None:
        living.renewals.append(Renewal(started, time.monotonic()))

    def _close(self, living: Living | None) -> None:
        if living is not None and living.renewals:
            life = Life(self._scope, living.name, TTL, living.born, living.renewals)
            self.lives.append(life)
