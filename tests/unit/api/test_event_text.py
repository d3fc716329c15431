"""The text of events about a stack as a whole."""

from __future__ import annotations

import json

from factstore.api.event_stream import frame_pieces
from factstore.api.schemas.events import Event as EventSchema
from factstore.api.serializers.events import event_texts
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event, flapping_change, stuck_change
from factstore.core.model.fact import Scope
from factstore.core.model.flapping_report import FlappingReport
from factstore.core.model.stuck_report import StuckReport
from factstore.core.services.watch_frames import ChangeFrame, SnapshotFrame
from tests.unit.core.factories import fact

REPORT = StuckReport("2026-01-01T00:00:00Z", "a waits for b.", "2026-01-01T00:01:00Z", revision=7)


def test_a_report_that_a_stack_is_stuck_has_a_reason_and_its_end_has_none() -> None:
    changes = (stuck_change("stack.stuck", REPORT), stuck_change("stack.unstuck", REPORT))
    event = Event(Scope("p", "s"), "id", 7, changes)
    document = json.loads("".join(event_texts([event], "e" * 16)))
    assert EventSchema().validate(document) == {}
    nothing = dict.fromkeys(("path", "fact", "previous", "by", "request_id"))
    common = {**nothing, "since": REPORT.since}
    assert document["changes"] == [
        {**common, "type": "stack.stuck", "reason": "a waits for b."},
        {**common, "type": "stack.unstuck", "reason": None},
    ]
    assert event.size > 1000


def test_a_report_of_a_loop_names_its_paths_and_members() -> None:
    report = FlappingReport("x", 6, ("x", "y"), ("c1", "head"), "2026-01-01T00:01:00Z", revision=7)
    event = Event(Scope("p", "s"), "id", 7, (flapping_change(report),))
    document = json.loads("".join(event_texts([event], "e" * 16)))
    assert EventSchema().validate(document) == {}
    (change,) = document["changes"]
    assert change["type"] == "stack.flapping"
    assert change["flapping"] == {
        "path": "x",
        "times": 6,
        "paths": ["x", "y"],
        "writers": ["c1", "head"],
    }
    assert "by the hooks of c1 and head" in change["reason"]


def test_frames_name_the_store_that_they_are_of_although_another_has_taken_its_place() -> None:
    for epoch in ("a" * 16, "b" * 16):  # those of one stream, before and after a restoration
        event = Event(Scope("p", "s"), "id", 7, (stuck_change("stack.stuck", REPORT),))
        change = b"".join(frame_pieces(ChangeFrame((event,), Cursor(epoch, 7)))).decode()
        assert change.startswith(f"id: {epoch}.7\n")
        assert json.loads(change.partition("data: ")[2])["cursor"] == f"{epoch}.7"
        frame = SnapshotFrame(Scope("p", "s"), epoch, (fact("a", 1, revision=5),))
        snapshot = b"".join(frame_pieces(frame)).decode()
        (shown,) = json.loads(snapshot.partition("data: ")[2])["facts"]
        assert shown["etag"] == f"{epoch}.5"
