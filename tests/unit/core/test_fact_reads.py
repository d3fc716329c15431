"""Reading and listing facts on a store that the test changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factstore.core.errors import CursorExpired, Invalid, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DropFact, DropStack, PutFact, PutStack, Step
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.services.facts import FactService
from factstore.core.services.views import FactView
from factstore.core.state.state import State
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.core.factories import EPOCH, SCOPE, ManualClock, fact, stack, state_with
from tests.unit.core.test_context import OneState, Waiting


def never(scope: Scope, author: Author) -> Stack:
    raise AssertionError("reading makes no stack")


def reading(
    state: State, *meanwhile: Callable[[], object], clock: ManualClock | None = None
) -> FactService:
    clock = clock or ManualClock()
    waiting = Waiting(clock, *meanwhile)
    hub = Hub(HistoryLimits(99, 99_999, 900), lambda: waiting)
    hub.reset(Cursor(state.epoch, 0))
    return FactService(OneState(state), hub, clock, 5, None)  # type: ignore[arg-type]


def holds(value: FactView) -> Callable[[FactView], bool]:
    return lambda found: found.fact.text == value.fact.text


def test_waiting_for_a_missing_fact_ends_when_it_is_created() -> None:
    state = State()
    service = reading(
        state,
        lambda: state.apply(Step(1, (PutStack(stack()),))),
        lambda: state.apply(Step(2, (PutFact("s1", fact("other", 1, 2)),))),
        lambda: state.apply(Step(3, (PutFact("s1", fact("p", 1, 3)),))),
        pytest.fail,
    )
    assert service.get(SCOPE, "p", wait=30).fact.revision == 3


def test_waiting_for_a_missing_fact_takes_no_longer_than_requested() -> None:
    clock = ManualClock()
    with pytest.raises(NotFound):
        reading(State(), clock=clock).get(SCOPE, "p", wait=30)
    assert clock.now == 1030


def test_a_read_without_wait_returns_at_once() -> None:
    service = reading(state_with(["p"]), pytest.fail)
    known = service.get(SCOPE, "p")
    assert service.get(SCOPE, "p", unless=holds(known)) == known
    with pytest.raises(NotFound):
        service.get(SCOPE, "gone")


def test_waiting_for_change_ends_with_the_change() -> None:
    state = state_with(["p"])
    service = reading(
        state,
        lambda: state.apply(Step(8, (PutFact("s1", fact("other", 1, 8)),))),
        lambda: state.apply(Step(9, (PutFact("s1", fact("p", "new", 9)),))),
        pytest.fail,
    )
    known = service.get(SCOPE, "p")
    assert service.get(SCOPE, "p", wait=30, unless=holds(known)).fact.text == '"new"'


def test_waiting_for_a_change_returns_the_old_fact_after_the_time() -> None:
    clock = ManualClock()
    service = reading(state_with(["p"]), clock=clock)
    known = service.get(SCOPE, "p")
    assert service.get(SCOPE, "p", wait=30, unless=holds(known)) == known
    assert clock.now == 1030


@pytest.mark.parametrize("end", [DropFact("s1", "p"), DropStack(SCOPE)])
def test_a_deletion_ends_the_waiting(end: DropFact | DropStack) -> None:
    state = state_with(["p"])
    service = reading(state, lambda: state.apply(Step(8, (end,))), pytest.fail)
    known = service.get(SCOPE, "p")
    with pytest.raises(NotFound):
        service.get(SCOPE, "p", wait=30, unless=holds(known))


def test_a_waiting_reader_never_receives_an_older_fact() -> None:
    """The store was reloaded from its oldest state, which is neither a change nor a deletion."""
    for old in (state_with([]), state_with(["p"])):
        known = state_with(["p"])
        known.apply(Step(8, (PutFact("s1", fact("p", "newer", 8)),)))
        store = OneState(known)
        clock = ManualClock()

        def reload(store: OneState = store, old: State = old, known: State = known) -> None:
            store.shown = old
            store.refresh = lambda deadline: known  # type: ignore[method-assign]

        waiting = Waiting(clock, reload)
        hub = Hub(HistoryLimits(9, 9999, 900), lambda: waiting)  # noqa: B023 - used at once
        hub.reset(Cursor(known.epoch, 0))
        service = FactService(store, hub, clock, 5, None)  # type: ignore[arg-type]
        now = service.get(SCOPE, "p")
        assert service.get(SCOPE, "p", wait=30, unless=holds(now)) == now


def test_waiting_readers_return_at_once_when_the_service_stops() -> None:
    clock = ManualClock()
    service = reading(State(), clock=clock)
    service._events.close()  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        service.get(SCOPE, "p", wait=30)
    assert clock.now == 1000


def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    paths = sorted(["a/1", "a/10", "a/2", "a-b", "a.b", "b", "n/1/x"])
    service = reading(state_with(paths))
    for limit in range(1, len(paths) + 2):
        found: list[str] = []
        marker: str | None = ""
        while marker is not None:
            page = service.list(SCOPE, limit=limit, marker=marker)
            assert len(page.items) <= limit
            found += [fact.path for fact in page.items]
            marker = page.marker
        assert found == paths
    below = service.list(SCOPE, prefix="a", limit=9)
    assert [fact.path for fact in below.items] == ["a/1", "a/10", "a/2"]
    assert below.marker is None
    assert [f.path for f in service.list(SCOPE, prefix="a", limit=9, marker="a/1").items] == [
        "a/10",
        "a/2",
    ]


@pytest.mark.parametrize(
    "at",
    [Cursor(EPOCH, 99), Cursor("f" * 16, 3), Cursor(EPOCH, 0)],
)
def test_pages_at_a_revision_that_never_existed_are_refused(at: Cursor) -> None:
    with pytest.raises(CursorExpired):
        reading(state_with(["a"])).list(SCOPE, limit=1, at=at)


def test_names_are_checked_before_the_store_is_read() -> None:
    service = reading(State())
    for ask in (
        lambda: service.get(Scope("p", "a/b"), "p"),
        lambda: service.get(SCOPE, "a//b"),
        lambda: service.list(SCOPE, prefix="a/", limit=1),
        lambda: service.list(SCOPE, marker="/", limit=1),
    ):
        with pytest.raises(Invalid):
            ask()


def test_waiting_for_a_change_of_a_deleted_fact_ends_at_once() -> None:
    with pytest.raises(NotFound):
        reading(state_with()).get(SCOPE, "p", wait=30, unless=lambda fact: True)
