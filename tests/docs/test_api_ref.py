"""The API reference says what the service does: its calls, its samples, its error codes."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any
from unittest import mock

import marshmallow as ma
import pytest
import yaml
from flask import Flask
from werkzeug.routing import Rule

from factstore.api.app import create_app
from factstore.api.errors import STATUS
from factstore.api.services import Services
from factstore.cmd.children.etcd import EtcdServer
from tests.docs import samples
from tests.service import ApiServer

SOURCE = Path(__file__).parents[2] / "api-ref" / "source"
CHAPTERS = sorted(SOURCE.glob("*.inc"))

SCHEMAS = {
    "batch-request": "BatchBody",
    "batch-response": "BatchAnswer",
    "context-show-response": "Context",
    "error-response": "Error",
    "events-poll-response": "EventPage",
    "fact-put-request": "FactBody",
    "fact-put-response": "Fact",
    "fact-show-response": "Fact",
    "facts-list-response": "FactPage",
    "limits-show-response": "Limits",
    "stack-put-request": "StackBody",
    "stack-put-response": "Stack",
    "stack-show-response": "Stack",
    "stacks-list-response": "StackPage",
    "versions-list-response": "Versions",
}

Call = tuple[str, str]  # method and path
METHODS = {"get", "head", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(mock.Mock(spec=Services))


@pytest.fixture(scope="module")
def openapi(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/v1/openapi.json").json
    return document


@pytest.fixture(scope="module")
def documented() -> list[Call]:
    text = "\n".join(chapter.read_text() for chapter in CHAPTERS)
    return re.findall(r"^\.\. rest_method:: +([A-Z]+) +(\S+)$", text, re.MULTILINE)


def schema(name: str) -> ma.Schema:
    for module in ("factstore.api.answers", "factstore.api.schemas"):
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ModuleNotFoundError:
            continue
        if found is not None:
            return found()
    raise LookupError(f"no schema is named {name}")


def calls_of(app: Flask, rule: Rule) -> set[Call]:
    """What a rule answers; HEAD only where it was written, not where Flask adds it."""
    view = app.view_functions[rule.endpoint]
    view_class = getattr(view, "view_class", None)
    methods = view_class.methods if view_class else rule.methods - {"HEAD"}
    path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
    return {(method, path) for method in methods - {"OPTIONS"}}


def sections() -> list[tuple[str, str]]:
    """Every call of the reference with the text about it."""
    found = []
    for chapter in CHAPTERS:
        parts = re.split(r"^(?=\.\. rest_method::)", chapter.read_text(), flags=re.MULTILINE)
        for part in parts[1:]:
            found.append((part.partition("\n")[0].partition(":: ")[2], part))
    return found


def named_parameters(text: str) -> list[tuple[str, str]]:
    """Name and key of every parameter in a text; lines about a status look alike."""
    return re.findall(r"^   - (\D[\w.-]*): (\w+)$", text, re.MULTILINE)


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


def test_the_reference_documents_every_call_once(documented: list[Call]) -> None:
    assert len(documented) == len(set(documented))


def test_every_route_is_in_the_reference_and_the_reference_has_no_other(
    app: Flask, documented: list[Call]
) -> None:
    routes = set().union(*(calls_of(app, rule) for rule in app.url_map.iter_rules()))
    assert set(documented) == routes


def test_the_reference_and_the_openapi_document_name_the_same_calls(
    openapi: dict[str, Any], documented: list[Call]
) -> None:
    described = {
        (method.upper(), path)
        for path, item in openapi["paths"].items()
        for method in item.keys() & METHODS
    }
    assert set(documented) == described


@pytest.mark.parametrize(("call", "text"), sections(), ids=[call for call, _ in sections()])
def test_a_call_documents_the_query_parameters_that_it_takes(
    openapi: dict[str, Any], call: str, text: str
) -> None:
    method, path = call.split()
    operation = openapi["paths"][path][method.lower()]
    taken = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
    parameters = yaml.safe_load((SOURCE / "parameters.yaml").read_text())
    named = named_parameters(text)
    assert {name for name, key in named if parameters[key]["in"] == "query"} == taken


def test_every_parameter_is_used() -> None:
    parameters = yaml.safe_load((SOURCE / "parameters.yaml").read_text())
    used = {key for chapter in CHAPTERS for _, key in named_parameters(chapter.read_text())}
    assert set(parameters) == used


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


def test_the_samples_look_like_what_a_service_answers_today(
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


def test_every_status_that_a_code_has_is_explained() -> None:
    explained = yaml.safe_load((SOURCE / "http-status.yaml").read_text())
    statuses = {status for status, _ in STATUS.values()}
    # Before it is known what is called: what is no HTTP, and a failure of the service.
    assert statuses - set(explained) <= {414, 431, 500}
