"""Credentials that prove nothing: their answers tell nobody why, and do not load the database."""

from __future__ import annotations

import pytest

from factstore.core.model.grant import GrantRequest
from factstore.core.services.grants import GUESS_SECONDS, GrantService, Issued
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author
from tests.unit.core.service import services_over


class World:
    """A service with one grant, whose pauses advance the clock."""

    def __init__(self, *, own_pause: bool = True) -> None:
        self.clock = ManualClock()
        self.store = DirectStore(self.clock)
        self.pauses: list[float] = []
        ids = iter("abc")
        services = services_over(self.store, self.clock, lambda: next(ids) * 32)
        pause = self._pause if own_pause else None
        self.grants = GrantService(self.store, self.clock, 5.0, services.transactor, pause=pause)
        self.issued: Issued = services.grants.issue(
            SCOPE, GrantRequest.of("agent", "c1", None, 3600), author()
        )
        self.reads = 0
        refresh = self.store.refresh

        def counted(deadline: float) -> object:
            self.reads += 1
            return refresh(deadline)

        self.store.refresh = counted  # type: ignore[method-assign, assignment]

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)

    def guess(self, grant: str, secret: str) -> tuple[list[float], int]:
        """Guess 100 times, a millisecond apart; return the pauses and the reads of the database."""
        for _ in range(100):
            assert self.grants.authenticate(grant, secret) is None
            self.clock.advance(0.001)
        return self.pauses, self.reads


def test_an_unknown_id_and_a_wrong_secret_take_the_same_time_and_few_reads() -> None:
    known, unknown = World(), World()
    grant = known.issued.grant.id
    wrong = known.guess(grant, "wrong")
    assert wrong == unknown.guess(grant[:-1] + ("0" if grant[-1] != "0" else "1"), "wrong")
    pauses, reads = wrong
    assert reads <= 1 + sum(pauses) / GUESS_SECONDS + 100 * 0.001 / GUESS_SECONDS


def test_guesses_wait_as_the_server_waits_that_was_patched_after_the_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    world = World(own_pause=False)
    for _ in range(3):
        assert world.grants.authenticate("unknown", "x") is None
    assert pauses == pytest.approx([GUESS_SECONDS] * 2)


def test_guesses_do_not_hold_up_the_holder_of_a_known_grant() -> None:
    world = World()
    assert world.grants.authenticate(world.issued.grant.id, world.issued.secret)
    world.grants.authenticate("unknown", "x")
    world.pauses.clear()
    reads = world.reads
    assert world.grants.authenticate(world.issued.grant.id, world.issued.secret)
    assert (world.pauses, world.reads) == ([], reads)
