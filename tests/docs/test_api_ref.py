"""The API reference says what the service does: its calls, its samples, its error codes."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import marshmallow as ma
import pytest

from factstore.api.errors import STATUS
from factstore.cmd.processes.etcd import EtcdServer
from tests.docs import samples
from tests.docs.reference import CHAPTERS, PARAMETERS, SOURCE, STATUSES, calls, named_parameters
from tests.service import ApiServer
from tests.structure.application import operations

SCHEMAS = {
    "batch-request": "BatchBody",
    "batch-response": "BatchAnswer",
    "context-show-response": "Context",
    "convergence-show-response": "Convergence",
    "error-response": "Error",
    "events-poll-response": "EventPage",
    "fact-put-request": "FactBody",
    "fact-put-response": "Fact",
    "fact-show-response": "Fact",
    "facts-list-response": "FactPage",
    "grant-enrol-request": "GrantBody",
    "grant-enrol-response": "IssuedGrant",
    "grant-group-request": "GrantBody",
    "grant-post-request": "GrantBody",
    "grant-post-response": "IssuedGrant",
    "grant-renew-request": "RenewalBody",
    "grant-renew-response": "Grant",
    "grant-show-response": "Grant",
    "grants-list-response": "GrantPage",
    "heartbeat-request": "HeartbeatBody",
    "limits-show-response": "Limits",
    "member-declare-request": "MemberBody",
    "member-declare-response": "Member",
    "member-patch-request": "MemberPatch",
    "member-patch-response": "Member",
    "member-put-request": "MemberBody",
    "member-put-response": "Member",
    "member-show-response": "Member",
    "members-list-response": "MemberPage",
    "stack-put-request": "StackBody",
    "stack-put-response": "Stack",
    "stack-show-response": "Stack",
    "stacks-list-response": "StackPage",
    "signal-request": "SignalBody",
    "signal-response": "Waiter",
    "versions-list-response": "Versions",
    "waiter-put-request": "WaiterBody",
    "waiter-put-response": "Waiter",
    "waiter-show-response": "Waiter",
    "waiters-list-response": "WaiterPage",
}


def schema(name: str) -> ma.Schema:
    for module in (
        "factstore.api.answers",
        "factstore.api.bodies",
        "factstore.api.context_schemas",
        "factstore.api.grant_schemas",
        "factstore.api.limit_answers",
        "factstore.api.waiter_schemas",
    ):
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ModuleNotFoundError:
            continue
        if found is not None:
            return found()
    raise LookupError(f"no schema is named {name}")


def frames(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Event and data of each frame of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")
        )
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def shape(document: Any) -> Any:
    """What stays of a document when its scalars and the lengths of its lists do not matter."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(value) for value in document]
    return None


def test_every_route_is_in_the_reference_and_the_reference_has_no_other() -> None:
    assert {tuple(name.split()) for name in calls()} == operations()


def test_every_parameter_is_used() -> None:
    used = {key for chapter in CHAPTERS for _, key in named_parameters(chapter.read_text())}
    assert PARAMETERS.keys() == used


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_sample_obeys_its_schema(name: str) -> None:
    sample = json.loads((SOURCE / "samples" / f"{name}.json").read_text())
    assert schema(SCHEMAS[name]).validate(sample) == {}


def test_the_stream_of_the_samples_has_every_frame_that_needs_no_failure() -> None:
    told = frames((SOURCE / "samples" / "events-stream.txt").read_text())
    assert [event for event, _ in told] == ["snapshot", "bookmark", "change", "change", "goodbye"]
    for event, data in told:
        if event == "change":
            assert schema("Event").validate(data) == {}
        elif event == "snapshot":
            assert all(schema("Fact").validate(fact) == {} for fact in data["facts"])


def test_every_sample_is_shown_and_every_shown_sample_is_there() -> None:
    shown = {
        name
        for chapter in CHAPTERS
        for name in re.findall(r"literalinclude:: samples/(\S+)", chapter.read_text())
    }
    assert shown == {path.name for path in (SOURCE / "samples").iterdir()}


def test_the_samples_match_the_answers_of_the_service(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    with ApiServer([private_etcd.endpoint], tmp_path / "api") as api:
        today = samples.gather(samples.Caller(api.url))
    assert today.keys() == {path.name for path in (SOURCE / "samples").iterdir()}
    for name, text in today.items():
        kept = (SOURCE / "samples" / name).read_text()
        if name.endswith(".json"):
            assert shape(json.loads(kept)) == shape(json.loads(text)), name
        else:
            assert shape(frames(kept)) == shape(frames(text)), name


def test_the_table_of_errors_has_every_code_with_its_status_and_title() -> None:
    rows = re.findall(
        r"^   \* - ``(\w+)``\n     - (\d+)\n     - (.+?)\. ",
        (SOURCE / "errors.inc").read_text(),
        re.MULTILINE,
    )
    assert rows == [(code, str(status), title) for code, (status, title) in STATUS.items()]


def test_every_status_of_a_call_is_explained_and_no_other() -> None:
    assert STATUSES.keys() == set().union(*(call.statuses() for call in calls().values()))
