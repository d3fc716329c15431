"""Tests of the texts that subscriptions share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from factstore.core.model.event import Change, Event
from factstore.core.model.fact import Scope
from factstore.core.services.watch_filter import Filter
from factstore.notify.shared_texts import SharedTexts
from tests.unit.core.factories import EPOCH, fact


class Renderer:
    """Renders the paths of changes, and counts how often it does."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, events: Sequence[Event], epoch: str) -> Iterator[str]:
        self.count += 1
        for event in events:
            yield f"{event.revision}:"
            yield ",".join(change.path or "" for change in event.changes)


def event(revision: int, *paths: str) -> Event:
    changes = (Change("fact.put", path, fact(path), None, None, None) for path in paths)
    return Event(Scope("p", "s"), "s1", revision, tuple(changes))


def narrowed(whole: Event, *prefixes: str) -> Event:
    """Return a new event with the changes below prefixes."""
    found = Filter(prefixes).apply(whole)
    assert found is not None
    return found


def test_a_batch_is_rendered_once_for_each_different_result_of_filters() -> None:
    renderer, batch = Renderer(), event(7, "a/1", "a/2", "b/1")
    texts = SharedTexts(renderer)
    for _ in range(100):
        assert texts([batch], EPOCH) == ("7:a/1,a/2,b/1",)
        assert texts([narrowed(batch, "a")], EPOCH) == ("7:a/1,a/2",)
        assert texts([narrowed(batch, "a", "none")], EPOCH) == ("7:a/1,a/2",)
        assert texts([narrowed(batch, "b")], EPOCH) == ("7:b/1",)
    assert renderer.count == 3
    assert texts([batch], "another epoch") == ("7:a/1,a/2,b/1",)
    assert renderer.count == 4
    assert texts([batch, event(7, "c")], EPOCH) == ("7:a/1,a/2,b/17:c",)


def test_equal_changes_of_other_revisions_have_their_own_text() -> None:
    texts = SharedTexts(Renderer())
    for revision in range(5, 500):  # objects of events that are gone get the identity of later ones
        assert texts([narrowed(event(revision, "a", "b"), "a")], EPOCH) == (f"{revision}:a",)


def test_only_the_newest_texts_are_kept() -> None:
    renderer = Renderer()
    texts = SharedTexts(renderer, characters=40)
    events = [event(revision, "x" * 15) for revision in (1, 2, 3)]
    for each in (*events, events[2], events[1]):
        texts([each], EPOCH)
    assert renderer.count == 3
    texts([events[0]], EPOCH)
    assert renderer.count == 4
    large = event(9, "y" * 100)
    assert texts([large], EPOCH) == texts([large], EPOCH)
    assert renderer.count == 5
