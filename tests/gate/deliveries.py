"""A subscription to the stack of a run, with two notifiers, and all that its receiver gets."""

from __future__ import annotations

import random
from collections import defaultdict
from contextlib import ExitStack

from tests.eventually import eventually
from tests.faults.checker import Bookmark, Scope, Segment, Told
from tests.faults.plain_http import revision_of
from tests.faults.readiness import put
from tests.faults.receivers import GOOD, Receivers
from tests.faults.test_deliveries import Notifiers, state, subscribe
from tests.faults.watchers import read_changes
from tests.gate.recording import Followed
from tests.gate.world import World
from tests.http import Caller


class Deliveries:
    """The messages of a subscription to one stack."""

    name = "webhook"

    def __init__(self, world: World, stack: str, started: ExitStack) -> None:
        service = world.services["a"]
        receivers = started.enter_context(Receivers())
        self._notifiers = started.enter_context(
            Notifiers(",".join(world.cluster.endpoints), service, world.directory)
        )
        with Caller(service.url) as caller:
            self._subscribed = subscribe(caller, receivers, stack)
            eventually(lambda: state(caller, self._subscribed) == "active")
        self._began = int(put(service, stack, "subscribed", 1)["revision"])
        self._box = self._subscribed.box

    @property
    def position(self) -> int:
        """The newest revision that has arrived."""
        return max(self._box.revisions(), default=self._began)

    @property
    def complaints(self) -> list[str]:
        """Messages with a wrong signature, and events that were repeated with another id."""
        ids: dict[str, set[str]] = defaultdict(set)
        for receipt in list(self._box.receipts):
            for event in receipt.events:
                if event["type"].endswith(".change"):
                    ids[event["data"]["cursor"]].add(event["id"])
        several = [
            f"{self.name}: {cursor}: {names}" for cursor, names in ids.items() if len(names) > 1
        ]
        return [f"{self.name}: {wrong}" for wrong in self._box.wrong] + several

    def kill(self, chance: random.Random) -> None:
        """Kill a notifier, and start it again."""
        self._notifiers.kill(chance)

    def fail(self, mode: str) -> None:
        """Let the receiver fail in one of its modes."""
        self._box.mode = mode

    def recover(self) -> None:
        """Let the receiver accept messages."""
        self._box.mode = GOOD

    def followed(self, scope: Scope, until: int, newest: int) -> Followed:
        """Return the events in the order in which each arrived for the first time.

        :param newest: the revision at which the recording ends; later ones may arrive meanwhile.
        """
        segment, seen = Segment(self._began), set[int]()
        for receipt in self._box.receipts:
            for event in receipt.events:
                if not event["type"].endswith(".change"):
                    continue
                revision = revision_of(event["data"]["cursor"])
                if self._began < revision <= newest and revision not in seen:
                    seen.add(revision)
                    segment.items.append(Told(revision, read_changes(event["data"]["changes"])))
        segment.items.append(Bookmark(until))
        return Followed(self.name, scope, "", [segment], until)
