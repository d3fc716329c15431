"""The API reference matches the service: its calls, samples and error codes."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from factstore.api.schemas.events import Event
from factstore.api.schemas.facts import Fact
from factstore.cmd.processes.etcd import EtcdServer
from tests.docs import samples
from tests.docs.reference import CHAPTERS, PARAMETERS, SOURCE, STATUSES, calls, named_parameters
from tests.service import ApiServer
from tests.structure.application import operations


def frames(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return event and data of each frame of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")
        )
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def shape(document: Any) -> Any:
    """Return the shape of a document, without its scalars and the lengths of its lists."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(value) for value in document]
    return None


def test_every_route_is_in_the_reference_and_the_reference_has_no_other() -> None:
    assert {tuple(name.split()) for name in calls()} == operations()


def test_every_chapter_is_in_the_index() -> None:
    included = re.findall(r"^.. include:: (\S+)$", (SOURCE / "index.rst").read_text(), re.MULTILINE)
    assert sorted(included) == [chapter.name for chapter in CHAPTERS]


def test_every_parameter_is_used() -> None:
    used = {key for chapter in CHAPTERS for _, key in named_parameters(chapter.read_text())}
    assert PARAMETERS.keys() == used


def test_the_stream_of_the_samples_has_every_frame_that_needs_no_failure() -> None:
    told = frames((SOURCE / "samples" / "events-stream.txt").read_text())
    assert [event for event, _ in told] == ["snapshot", "bookmark", "change", "change", "goodbye"]
    for event, data in told:
        if event == "change":
            assert Event().validate(data) == {}
        elif event == "snapshot":
            assert all(Fact().validate(fact) == {} for fact in data["facts"])


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


def test_no_parameter_or_status_of_a_call_is_listed_twice() -> None:
    for page in SOURCE.glob("*.inc"):
        for listed in re.findall(
            r"^\.\. rest_.+\n\n((?:   .+\n)+)", page.read_text(), re.MULTILINE
        ):
            rows = listed.splitlines()
            assert len(rows) == len(set(rows)), (page.name, rows)


def test_every_status_of_a_call_is_explained_and_no_other() -> None:
    assert STATUSES.keys() == set().union(*(call.statuses() for call in calls().values()))


def test_the_code_for_the_checksum_computes_that_of_the_sample() -> None:
    text = (SOURCE / "context.inc").read_text()
    (code,) = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    scope: dict[str, Any] = {"json": json, "hashlib": hashlib}
    exec(textwrap.dedent(code), scope)
    whole, delta = (
        json.loads((SOURCE / "samples" / f"context-{kind}-response.json").read_text())
        for kind in ("show", "delta")
    )
    assert scope["checksum"](whole) == delta["checksum"]
