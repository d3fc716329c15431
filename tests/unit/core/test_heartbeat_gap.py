"""Members get their time again after a gap in which the store took no heartbeats."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factstore.core.errors import Unavailable
from factstore.core.model.member import JoinRequest
from factstore.core.services.heartbeat_gap import GAP_SECONDS
from tests.eventually import eventually
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author
from tests.unit.core.service import services_over


class Members:
    """Two members with a ttl of 30 seconds; only the first one sends heartbeats."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = DirectStore(self.clock)
        ids = iter(f"id{n}" for n in range(9))
        self.service = services_over(self.store, self.clock, lambda: next(ids)).members
        for name in ("c1", "c2"):
            self.service.join(SCOPE, name, JoinRequest.of("compute", 30), author())

    def beat(self) -> None:
        self.service.heartbeat(SCOPE, "c1", None, None)

    def outage(self, seconds: float) -> None:
        """Let a heartbeat fail at the beginning of an outage."""

        def away(lease: int) -> bool:
            raise Unavailable("it is away")

        self.store.renew_hooks.append(away)
        with pytest.raises(Unavailable):
            self.beat()
        self.clock.advance(seconds)

    def renewed(self) -> bool:
        return not self.service._renewal.gap.renewing

    def alive(self, name: str) -> bool:
        self.store.backend.expire()
        return self.store.refresh(0).member(SCOPE, name) is not None


@pytest.mark.parametrize(
    ("gap", "kept"), [(GAP_SECONDS - 1, False), (GAP_SECONDS, True)], ids=["short", "long"]
)
def test_a_silent_member_gets_its_time_again_only_after_a_gap(gap: float, kept: bool) -> None:
    members = Members()
    members.clock.advance(20)
    members.outage(gap)
    members.beat()
    eventually(members.renewed)
    members.clock.advance(20)
    assert (members.alive("c1"), members.alive("c2")) == (True, kept)
    members.clock.advance(11)
    assert not members.alive("c2"), "it gets its time once"


def test_a_store_that_fails_again_ends_the_renewals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = Members()
    members.outage(GAP_SECONDS)
    failing: list[Callable[[int], bool]] = []

    def away(lease: int) -> bool:
        failing.append(away)
        raise Unavailable("it is away")

    members.store.renew_hooks += [lambda lease: True, away]
    members.beat()
    eventually(members.renewed)
    assert len(failing) == 1
