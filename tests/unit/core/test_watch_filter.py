"""Filters of watches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import CHANGE_TYPES, Change, Event
from factstore.core.services.watch_filter import Filter
from tests.unit.core.factories import SCOPE, fact
from tests.unit.core.records import alarm, member, waiter

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
    st.builds(
        lambda kind, name: Change(kind, None, None, None, None, None, alarm(name, 7)),
        st.sampled_from([kind for kind in CHANGE_TYPES if kind.startswith("alarm.")]),
        st.sampled_from(["busy", "idle"]),
    ),
    st.just(ENDED),
)
events = st.lists(changes, min_size=1, max_size=6).map(
    lambda made: Event(SCOPE, "s1", 7, tuple(made))
)
filters = st.builds(
    Filter,
    st.sampled_from([(), ("n",), ("n/1",), ("z",), ("m", "n/1/a")]),
    st.frozensets(st.sampled_from(CHANGE_TYPES)),
    groups=st.sampled_from([(), ("compute",), ("compute", "head")]),
    many=st.booleans(),
    alarms=st.sampled_from([(), ("busy",), ("busy", "idle")]),
)


def wants(wanted: Filter, change: Change) -> bool:
    if change.type == "stack.delete" and not (wanted.many and wanted.types):
        return True
    if wanted.types and change.type not in wanted.types:
        return False
    kind = change.type.partition(".")[0]
    if kind == "fact":
        path = (change.path or "").split("/")
        prefixes = [prefix.split("/") for prefix in wanted.prefixes]
        return not prefixes or any(path[: len(prefix)] == prefix for prefix in prefixes)
    if kind == "member" and wanted.groups:
        versions = (change.record, change.former)
        return any(m.group in wanted.groups for m in versions if m)  # type: ignore[union-attr]
    if kind == "alarm" and wanted.alarms:
        return getattr(change.record, "name", None) in wanted.alarms
    return bool(wanted.types) or not wanted.prefixes


@given(filters, events)
def test_a_filter_keeps_wanted_changes_in_order(wanted: Filter, event: Event) -> None:
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
