"""The context document."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DropFact, DropStack, PutFact, PutStack, Step
from factstore.core.services.context import ContextService
from factstore.core.services.context_document import render
from factstore.core.services.context_view import ContextView
from factstore.core.state.state import State
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.core.factories import EPOCH, SCOPE, ManualClock, fact, stack, state_with

segments = st.sampled_from(["a", "b", "a-b", "a.b", "a0", "_", "Z", "results"])
trees = st.recursive(
    st.integers() | st.just({"value": "is an object"}),
    lambda inner: st.dictionaries(segments, inner, min_size=1, max_size=4),
    max_leaves=12,
)


class OneState:
    """A store with a given state."""

    def __init__(self, state: State) -> None:
        self.shown = state

    def state(self) -> State:
        return self.shown

    def refresh(self, deadline: float) -> State:
        return self.shown


class Waiting:
    """A wake-up: waiting calls the functions of the test."""

    def __init__(self, clock: ManualClock, *meanwhile: Callable[[], object]) -> None:
        self._clock = clock
        self._meanwhile = list(meanwhile)

    def set(self) -> None: ...

    def is_set(self) -> bool:
        return True

    def wait(self, timeout: float | None = None) -> None:
        if self._meanwhile:
            self._meanwhile.pop(0)()
        else:
            self._clock.advance(timeout or 0)


def contexts(state: State, *meanwhile: Callable[[], object]) -> ContextService:
    clock = ManualClock()
    waiting = Waiting(clock, *meanwhile)
    hub = Hub(HistoryLimits(100, 100_000, 900), lambda: waiting)
    hub.reset(Cursor(state.epoch, 0))
    return ContextService(OneState(state), hub, clock, 5)  # type: ignore[arg-type]


def leaves(tree: dict[str, object], above: str = "") -> dict[str, object]:
    """Return the facts in a nested document by path."""
    found: dict[str, object] = {}
    for name, child in tree.items():
        if isinstance(child, dict) and "value" not in child:
            found |= leaves(child, f"{above}{name}/")
        else:
            found[above + name] = child
    return found


@given(st.dictionaries(segments, trees, max_size=4))
def test_facts_are_nested_by_their_paths(tree: dict[str, object]) -> None:
    flat = leaves(tree)
    document = json.loads(render("s", [fact(path, flat[path]) for path in sorted(flat)]))
    assert document == {"stack": "s", "facts": tree, "members": {}}


def test_the_document_contains_values_with_their_exact_text() -> None:
    text = render("s", [fact("a/f", 1.0), fact("a/i", 1), fact("a/t", True), fact("b", "\u20ac\n")])
    assert text == (
        '{"stack":"s","facts":{"a":{"f":1.0,"i":1,"t":true},"b":"\u20ac\\n"},"members":{}}'
    )


def test_results_are_left_out_unless_requested() -> None:
    service = contexts(state_with(["a", "results", "resultsx/y"]))
    assert json.loads(service.get(SCOPE).text)["facts"] == {
        "a": 2,
        "results": 3,
        "resultsx": {"y": 4},
    }
    service = contexts(state_with(["a", "results/c1/install"]))
    assert json.loads(service.get(SCOPE).text)["facts"] == {"a": 2}
    assert json.loads(service.get(SCOPE, ContextView(results=True)).text)["facts"] == {
        "a": 2,
        "results": {"c1": {"install": 3}},
    }


def test_the_etag_changes_only_with_the_facts() -> None:
    state = state_with(["a", "b"])
    service = contexts(state)
    first = service.get(SCOPE)
    state.apply(Step(8, (PutFact("s1", fact("results/r", 1, 8)),)))
    assert service.get(SCOPE).etag == first.etag
    assert service.get(SCOPE).cursor.revision == 8
    assert service.get(SCOPE, ContextView(results=True)).etag != first.etag
    state.apply(Step(9, (PutFact("s1", fact("a", "other", 9)),)))
    second = service.get(SCOPE)
    assert second.etag != first.etag
    state.apply(Step(10, (PutFact("s1", fact("a", 2, 10)),)))
    assert service.get(SCOPE).etag == first.etag
    state.apply(Step(11, (DropFact("s1", "b"),)))
    assert json.loads(service.get(SCOPE).text)["facts"] == {"a": 2}


def test_a_recreated_stack_has_a_context_of_its_own() -> None:
    state = state_with(["a"])
    service = contexts(state)
    assert json.loads(service.get(SCOPE).text)["facts"] == {"a": 2}
    state.apply(Step(8, (DropStack(SCOPE),)))
    with pytest.raises(NotFound):
        service.get(SCOPE)
    state.apply(Step(9, (PutStack(stack(stack_id="s2", created=9)),)))
    assert json.loads(service.get(SCOPE).text)["facts"] == {}


def test_a_context_is_compiled_again_after_the_state_was_reloaded() -> None:
    state = state_with(["a", "b"])
    service = contexts(state)
    service.get(SCOPE)
    missed = [m for m in state.mutations() if not (isinstance(m, PutFact) and m.fact.path == "a")]
    again = State(7, EPOCH)
    again.load(missed)
    service._store = OneState(again)  # type: ignore[assignment]
    assert json.loads(service.get(SCOPE).text)["facts"] == {"b": 3}


def test_a_waiting_reader_never_receives_an_older_context() -> None:
    """The store was reloaded from its oldest state, which is no change."""
    known, old = state_with(["a", "b"]), state_with(["a"])
    store = OneState(known)
    clock = ManualClock()

    def reload() -> None:
        store.shown = old
        store.refresh = lambda deadline: known  # type: ignore[method-assign]

    waiting = Waiting(clock, reload)
    hub = Hub(HistoryLimits(9, 9999, 900), lambda: waiting)
    hub.reset(Cursor(EPOCH, 0))
    service = ContextService(store, hub, clock, 5)  # type: ignore[arg-type]
    etag = service.get(SCOPE).etag
    assert service.get(SCOPE, wait=30, unless=[etag]).etag == etag


def test_a_caller_with_a_newer_cursor_does_not_receive_an_older_state() -> None:
    store = OneState(state_with(["a"]))
    newer = state_with(["a", "b"])
    store.refresh = lambda deadline: newer  # type: ignore[method-assign]
    hub = Hub(HistoryLimits(9, 9999, 900))
    hub.reset(newer.cursor)
    service = ContextService(store, hub, ManualClock(), 5)  # type: ignore[arg-type]
    known = Cursor(EPOCH, newer.revision)
    assert service.since(SCOPE, known, stale=True).cursor == known
    assert service.get(SCOPE, stale=True).cursor.revision < known.revision


def test_waiting_returns_the_changed_context_or_the_old_one_after_the_time() -> None:
    state = state_with(["a"])
    change = Step(5, (PutFact("s1", fact("a", "new", 5)),))
    service = contexts(state, lambda: None, lambda: state.apply(change))
    before = service.get(SCOPE)
    after = service.get(SCOPE, wait=30, unless=[before.etag])
    assert json.loads(after.text)["facts"] == {"a": "new"}
    assert service.get(SCOPE, wait=30, unless=[after.etag]).etag == after.etag


def test_waiting_for_a_stack_ends_when_it_is_created_or_deleted() -> None:
    state = State(0, EPOCH)
    service = contexts(state, lambda: state.apply(Step(3, (PutStack(stack(created=3)),))))
    appeared = service.get(SCOPE, wait=30)
    assert appeared.cursor.revision == 3
    service = contexts(state, lambda: state.apply(Step(4, (DropStack(SCOPE),))), pytest.fail)
    with pytest.raises(NotFound):
        service.get(SCOPE, wait=30, unless=[appeared.etag])


# Sensitive facts


def secret(path: str, revision: int, sealed: str) -> Step:
    made = fact(path, None, revision, sealed=sealed)
    return Step(revision, (PutFact("s1", made),))


def test_the_document_contains_only_the_etag_of_a_sensitive_fact() -> None:
    state = state_with(["a", "results/c1/log"])
    service = contexts(state)
    before = service.get(SCOPE)
    assert "sensitive" not in json.loads(before.text)
    state.apply(secret("nodes/head/key", 4, "1.sealed"))
    context = service.get(SCOPE)
    document = json.loads(context.text)
    assert "sealed" not in context.text
    assert document["facts"] == {"a": 2, "nodes": {"head": {"key": None}}}
    assert document["sensitive"] == {"nodes/head/key": f"{EPOCH}.4"}
    assert context.etag != before.etag


def test_the_etag_changes_with_a_sensitive_fact() -> None:
    state = state_with(["a"])
    service = contexts(state)
    state.apply(secret("key", 3, "1.one"))
    before = service.get(SCOPE)
    state.apply(secret("key", 4, "1.two"))
    assert service.get(SCOPE).etag != before.etag


def test_sensitive_results_are_left_out_too() -> None:
    state = state_with(["a"])
    state.apply(secret("results/c1/log", 3, "1.x"))
    service = contexts(state)
    assert "sensitive" not in json.loads(service.get(SCOPE).text)
    with_results = json.loads(service.get(SCOPE, ContextView(results=True)).text)
    assert list(with_results["sensitive"]) == ["results/c1/log"]


def test_a_stack_without_sensitive_facts_has_no_sensitive_member() -> None:
    state = state_with(["a"])
    service = contexts(state)
    state.apply(secret("key", 3, "1.x"))
    state.apply(secret("gone", 4, "1.x"))
    state.apply(Step(5, (PutFact("s1", fact("key", "open", 5)),)))
    state.apply(Step(6, (DropFact("s1", "gone"),)))
    document = json.loads(service.get(SCOPE).text)
    assert document["facts"] == {"a": 2, "key": "open"}
    assert "sensitive" not in document
    contents = state.contents(SCOPE)
    assert contents is not None
    assert not contents.sensitive
