"""Bugs that are seeded into a recording, which the checkers must find.

Each function changes a recording as if the service had the bug.  It needs a run in which the thing
happened: an event with several changes, a deletion, an expiry, the end of a waiter.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from tests.faults.checker import Bookmark, RawChange, Segment, Told
from tests.gate.lifetimes import expired_at
from tests.gate.recording import Followed, Recording, Renewal
from tests.gate.replay import Revisions, all_known
from tests.gate.values import Values

Seed = Callable[[Recording, random.Random], None]


def drop(recording: Recording, chance: random.Random) -> None:
    """Let a watcher never receive an event."""
    segment = _segment(recording, chance)
    del segment.items[chance.choice(_told(segment))]


def duplicate(recording: Recording, chance: random.Random) -> None:
    """Let a watcher receive an event twice."""
    segment = _segment(recording, chance)
    at = chance.choice(_told(segment))
    segment.items.insert(at + 1, segment.items[at])


def reorder(recording: Recording, chance: random.Random) -> None:
    """Let a watcher receive two events in the wrong order."""
    segment = _segment(recording, chance)
    told = _told(segment)
    place = chance.randrange(len(told) - 1)
    first, second = told[place], told[place + 1]
    items = segment.items
    items[first], items[second] = items[second], items[first]


def split_batch(recording: Recording, chance: random.Random) -> None:
    """Let a watcher receive the changes of one revision in two events."""
    segment = _segment(recording, chance, several=True)
    at = chance.choice(_told(segment, several=True))
    whole = segment.items[at]
    assert isinstance(whole, Told)
    parts = whole.changes[:1], whole.changes[1:]
    segment.items[at : at + 1] = [Told(whole.revision, part) for part in parts]


def forge_bookmark(recording: Recording, chance: random.Random) -> None:
    """Let a watcher receive a bookmark for an event before the event."""
    segment = _segment(recording, chance)
    at = chance.choice(_told(segment))
    segment.items.insert(at, Bookmark(segment.items[at].revision))


def read_stale(recording: Recording, chance: random.Random) -> None:
    """Let a read return a value that had been replaced before the read began."""
    values = Values(recording.history())
    revisions = Revisions(all_known(recording))
    writes: dict[object, list[tuple[float, int, str]]] = {}
    for each in recording.operations:
        if each.kind == "put" and each.outcome == "done":
            key = (each.scope, each.path)
            writes.setdefault(key, []).append((each.ended, each.revision, each.puts[each.path]))
    reads = [
        (number, old)
        for number, each in enumerate(recording.operations)
        if each.kind == "read" and each.is_known
        for ended, _, old in writes.get((each.scope, each.path), ())
        if ended < each.started
        and not values.could_be_read(each.scope, each.path, old, revisions.before(each.started))
    ]
    number, old = chance.choice(reads)
    recording.operations[number] = replace(recording.operations[number], seen=old)


def lose_write(recording: Recording, chance: random.Random) -> None:
    """Acknowledge a write that is not stored."""
    done = {each.revision for each in recording.operations if each.outcome == "done" and each.puts}
    places = [at for at, (revision, _) in enumerate(recording.steps) if revision in done]
    del recording.steps[chance.choice(places)]


def repeat_write(recording: Recording, chance: random.Random) -> None:
    """Carry out an acknowledged write again when it is repeated."""
    done = {each.revision for each in recording.operations if each.outcome == "done" and each.puts}
    places = [
        at
        for at, ((revision, first), (_, second)) in enumerate(pairwise(recording.steps))
        if revision in done and not {each.key for each in first} & {each.key for each in second}
    ]
    at = chance.choice(places)
    revision, changes = recording.steps[at + 1]
    recording.steps[at + 1] = (revision, (*changes, *recording.steps[at][1]))


def expire_early(recording: Recording, chance: random.Random) -> None:
    """Let something expire that was renewed shortly before."""
    history = recording.history()
    revisions = Revisions(all_known(recording))
    ended = [
        (number, revisions.received_at(revision))
        for number, life in enumerate(recording.lives)
        if (revision := expired_at(life, history)) is not None
    ]
    number, at = chance.choice(ended)
    life = recording.lives[number]
    renewal = Renewal(at - life.ttl / 2, at - life.ttl / 2)
    recording.lives[number] = replace(life, renewals=[*life.renewals, renewal])


def end_waiter_twice(recording: Recording, chance: random.Random) -> None:
    """Write the end of a waiter twice."""
    ends = [
        (at, change)
        for at, (_, changes) in enumerate(recording.steps)
        for change in changes
        if b"/waiters/" in change.key
        and change.value is not None
        and json.loads(change.value)["state"] != "pending"
    ]
    at, change = chance.choice(ends)
    revision, changes = recording.steps[at]
    again = RawChange(change.key, change.value, change.lease)
    recording.steps[at] = (revision, (*changes, again))


def deny_removal(recording: Recording, chance: random.Random) -> None:
    """State that nothing was written by a request that removed a fact."""
    requests = {request for request in recording.history().requests if request}
    acts = {
        (path, json.loads(change.value)["request_id"])
        for _, changes in recording.steps
        for change in changes
        if b"/acts/" in change.key and change.value is not None
        for path in json.loads(change.value)["paths"]
    }
    found = [
        (number, request)
        for number, each in enumerate(recording.operations)
        if each.kind == "delete" and each.outcome == "done"
        for path, request in acts
        if path == each.path and request in requests
    ]
    number, request = chance.choice(sorted(found))
    operation = recording.operations[number]
    recording.operations[number] = replace(operation, outcome="refused", request_id=request)


def miss_edge(recording: Recording, chance: random.Random) -> None:
    """Let an alarm keep the state that it had before its last edge."""
    places = {
        change.key: (at, json.loads(change.value))
        for at, (_, changes) in enumerate(recording.steps)
        for change in changes
        if b"/alarms/" in change.key and change.value is not None
    }
    judged = [at for at, fields in places.values() if not fields.get("history_lost_at")]
    at = chance.choice(sorted(judged))
    revision, changes = recording.steps[at]
    recording.steps[at] = (revision, tuple(map(_flipped, changes)))


def _flipped(change: RawChange) -> RawChange:
    if b"/alarms/" not in change.key or change.value is None:
        return change
    fields = json.loads(change.value)
    fields["state"] = "ok" if fields["state"] == "alarm" else "alarm"
    return RawChange(change.key, json.dumps(fields).encode(), change.lease)


SEEDS: dict[str, tuple[Seed, str]] = {
    "drop": (drop, "missing"),
    "duplicate": (duplicate, "duplicate"),
    "reorder": (reorder, "reordered"),
    "stale read": (read_stale, "stale"),
    "stale read, by the order of requests alone": (read_stale, "illegal"),
    "lost acknowledgement": (lose_write, "lost"),
    "write carried out twice": (repeat_write, "repeated"),
    "split batch": (split_batch, "split"),
    "forged bookmark": (forge_bookmark, "bookmark"),
    "early expiry": (expire_early, "early"),
    "waiter ended twice": (end_waiter_twice, "ended twice"),
    "removal denied": (deny_removal, "denied"),
    "alarm that misses an edge": (miss_edge, "alarm"),
}
"""The bugs, each with the kind of violation by which it has to be found."""


def _segment(recording: Recording, chance: random.Random, *, several: bool = False) -> Segment:
    """Return a segment of a watcher in which two events arrived, or one with several changes."""
    enough = 1 if several else 2
    segments = [
        segment
        for each in recording.watchers
        for segment in each.segments[-1:]
        if len(_told(segment, several=several)) >= enough
    ]
    return chance.choice(segments)


def _told(segment: Segment, *, several: bool = False) -> list[int]:
    return [
        at
        for at, item in enumerate(segment.items)
        if isinstance(item, Told) and (not several or len(item.changes) > 1)
    ]


def copied(recording: Recording) -> Recording:
    """Return a copy into which a bug can be seeded."""
    watchers = [
        Followed(
            each.name,
            each.scope,
            each.prefix,
            [
                Segment(segment.start, segment.snapshot, list(segment.items))
                for segment in each.segments
            ],
            each.until,
        )
        for each in recording.watchers
    ]
    return replace(
        recording,
        steps=list(recording.steps),
        operations=list(recording.operations),
        watchers=watchers,
        lives=list(recording.lives),
    )
