"""Credentials that prove nothing: their answers tell nobody why, and do not load the database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factstore.core.model.grant import GrantRequest
from factstore.core.services.grants import FRESH_SECONDS, GUESS_SECONDS, GrantService, Issued
from factstore.core.state.state import State
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author
from tests.unit.core.service import services_over


class World:
    """A service with one grant, whose pauses advance the clock."""

    def __init__(self, *, own_pause: bool = True) -> None:
        self.clock = ManualClock()
        self.while_paused: Callable[[], object] = lambda: None
        self.store = DirectStore(self.clock)
        self.pauses: list[float] = []
        ids = iter("abc")
        self.services = services_over(self.store, self.clock, lambda: next(ids) * 32)
        pause = self._pause if own_pause else None
        self.grants = GrantService(
            self.store, self.clock, 5.0, self.services.transactor, pause=pause
        )
        self.issued: Issued = self.services.grants.issue(
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
        self.while_paused()

    def guess(self, grant: str, secret: str) -> tuple[list[float], int]:
        """Guess 100 times, a millisecond apart; return the pauses and the reads of the database."""
        for _ in range(100):
            assert self.grants.authenticate(grant, secret) is None
            self.clock.advance(0.001)
        return self.pauses, self.reads

    def issue_elsewhere(self) -> Issued:
        """Issue a grant at another worker, so that the state of this one lacks it."""
        there = DirectStore(self.clock)
        there.backend = self.store.backend
        there.known = State(0, self.store.known.epoch, self.store.known.signing_key)
        there.refresh(0)
        services = services_over(there, self.clock, lambda: "d" * 32)
        return services.grants.issue(SCOPE, GrantRequest.of("agent", "c2", None, 3600), author())


def other(text: str, at: int) -> str:
    """Return a text in which one character is another hexadecimal digit."""
    at %= len(text)
    return text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :]


def test_an_unknown_id_and_a_wrong_secret_take_the_same_time_and_few_reads() -> None:
    def result(grant_at: int | None, secret: str | None, secret_at: int | None) -> object:
        world = World()
        grant, right = world.issued.grant.id, world.issued.secret
        grant = grant if grant_at is None else other(grant, grant_at)
        right = right if secret_at is None else other(right, secret_at)
        return world.guess(grant, right if secret is None else secret)

    expected = result(None, "wrong", None)
    for grant_at in (None, 0, -1):  # the stack, or the number of the grant
        for secret in ("", "wrong", "x" * 43, "\N{SNOWMAN}"):
            assert result(grant_at, secret, None) == expected
        for secret_at in (0, 20, -2):
            assert result(grant_at, None, secret_at) == expected
    assert result(-1, None, None) == expected
    pauses, reads = expected  # type: ignore[misc]
    assert reads <= 1 + (sum(pauses) + 100 * 0.001) / FRESH_SECONDS


def test_guesses_do_not_keep_the_holder_of_a_new_grant_waiting() -> None:
    world = World()
    world.guess("unknown", "x")
    world.pauses.clear()
    issued, reads = world.issue_elsewhere(), world.reads
    assert world.grants.authenticate(issued.grant.id, issued.secret)
    assert (world.pauses, world.reads) == ([], reads + 1)


def test_a_secret_of_an_earlier_version_is_accepted_once_the_worker_has_seen_its_grant() -> None:
    world = World()
    assert world.grants.authenticate("unknown", "x") is None  # the state is fresh
    issued, reads = world.issue_elsewhere(), world.reads
    world.store.known.signing_key = b"another"  # with which the secret has no signature
    assert world.grants.authenticate(issued.grant.id, issued.secret) is None
    world.while_paused = lambda: world.store.fence(0)  # the watch reports the grant
    assert world.grants.authenticate(issued.grant.id, issued.secret)
    assert world.pauses == pytest.approx([GUESS_SECONDS] * 2)
    assert world.reads == reads + 1  # that of the watch


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
