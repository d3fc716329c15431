"""Filters of watches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import CHANGE_TYPES, Change, Event
from factstore.core.services.watch_filter import Filter
from tests.unit.core.factories import SCOPE, fact
from tests.unit.core.records import member, waiter

GROUPS = ["compute", "head"]
PATHS = ["n", "n/1", "n/1/a", "n/10", "n-1", "m/n/1"]
ENDED = Change("stack.delete", None, None, None, "bob", "req-bob")

changes = st.one_of(
    st.builds(
        lambda kind, path: Change(kind, path, fact(path), None, "bob", "req-bob"),
        st.sampled_from([kind for kind in CHANGE_TYPES if kind.startswith("fact.")]),
        st.sampled_from(PATHS),
    ),
    st.builds(
        lambda kind, now, before: Change(
            kind, None, None, None, "bob", "req-bob", member("c1", 7, group=now), before
        ),
        st.sampled_from([kind for kind in CHANGE_TYPES if kind.startswith("member.")]),
        st.sampled_from(GROUPS),
        st.none() | st.sampled_from(GROUPS).map(lambda group: member("c1", 6, group=group)),
    ),
    st.builds(
        lambda kind: Change(kind, None, None, None, None, None, waiter("w", 7, {"signals": 1})),
        st.sampled_from([kind for kind in CHANGE_TYPES if kind.startswith("waiter.")]),
    ),
    st.just(ENDED),
)
events = st.lists(changes, min_size=1, max_size=6).map(
    lambda made: Event(SCOPE, "s1", 7, tuple(made))
)
filters = st.builds(
    Filter,
    st.sampled_from(["", "n", "n/1", "z"]),
    st.frozensets(st.sampled_from(CHANGE_TYPES)),
    group=st.sampled_from(["", *GROUPS]),
)


def wants(wanted: Filter, change: Change) -> bool:
    if change.type == "stack.delete":
        return True
    if wanted.types and change.type not in wanted.types:
        return False
    kind = change.type.partition(".")[0]
    if kind == "fact":
        prefix, path = wanted.prefix.split("/"), (change.path or "").split("/")
        return not wanted.prefix or path[: len(prefix)] == prefix
    if kind == "member" and wanted.group:
        return wanted.group in {m.group for m in (change.record, change.former) if m}  # type: ignore[union-attr]
    return bool(wanted.types) or not wanted.prefix


@given(filters, events)
def test_a_filter_keeps_wanted_changes_in_order_and_the_deletion_of_the_stack(
    wanted: Filter, event: Event
) -> None:
    expected = tuple(change for change in event.changes if wants(wanted, change))
    kept = wanted.apply(event)
    assert (kept.changes if kept else ()) == expected
    if kept is not None:
        assert (kept.scope, kept.stack_id, kept.revision) == (SCOPE, "s1", 7)


@given(events)
def test_an_unfiltered_event_shares_its_rendering(event: Event) -> None:
    assert Filter().apply(event) is event


@given(filters, events)
def test_a_filtered_event_does_not_share_the_rendering(wanted: Filter, event: Event) -> None:
    kept = wanted.apply(event)
    if kept is not None and kept.changes != event.changes:
        assert kept.memo is not event.memo
