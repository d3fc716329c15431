"""The API reference and the OpenAPI document describe every call in the same way, to the last field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from openapi_schema_validator import OAS31Validator, oas31_format_checker

from factstore.api import openapi
from factstore.api.errors import STATUS
from factstore.api.media import JSON, PROBLEM
from tests.cases import cases
from tests.docs import reference
from tests.docs.reference import PREFIX, SAMPLES, SOURCE, Call, Operation
from tests.structure.application import documented

ITSELF = "GET /v1/openapi.json"
"""Has no sample, because its response is the document that is compared here."""


Test = Callable[[str, Call, Operation], None]


@cache
def described() -> dict[str, Operation]:
    """Return the operations of the document, when a test needs them: the application takes seconds."""
    return reference.operations(documented())


def for_every_call(test: Test) -> Callable[[], None]:
    """Return a test that tries all calls, and names each one for which an assertion fails."""

    def test_of_all() -> None:
        with cases() as case:
            for name in sorted(described()):
                with case(name):
                    test(name, reference.calls()[name], described()[name])

    test_of_all.__name__, test_of_all.__doc__ = test.__name__, test.__doc__
    return test_of_all


def complaints(schema: dict[str, Any], sample: object) -> list[str]:
    whole = {**schema, "components": documented()["components"]}
    validator = OAS31Validator(whole, format_checker=oas31_format_checker)
    return [error.message for error in validator.iter_errors(sample)]


def test_the_reference_and_the_document_describe_the_same_calls() -> None:
    assert reference.calls().keys() == described().keys()


@for_every_call
def test_parameters_in_urls_are_the_same(name: str, call: Call, operation: Operation) -> None:
    for where in ("path", "query"):
        assert call.parameters("Request", where) == operation.parameters(where).keys()


@for_every_call
def test_request_headers_are_the_same(name: str, call: Call, operation: Operation) -> None:
    taken = operation.parameters("header").keys()
    assert call.parameters("Request", "header") == taken - reference.EVERYWHERE
    assert "OpenStack-API-Version" in taken


@for_every_call
def test_response_headers_are_the_same(name: str, call: Call, operation: Operation) -> None:
    sent = operation.response_headers()
    assert call.parameters("Response", "header") == sent - reference.EVERYWHERE
    assert sent >= reference.EVERYWHERE


@for_every_call
def test_required_parameters_are_the_same(name: str, call: Call, operation: Operation) -> None:
    for field, key in reference.named_parameters(call.part("Request")):
        about = reference.PARAMETERS[key]
        if about["in"] == "body":
            schema = operation.resolve(operation.request_schema() or {})
            required = field in schema.get("required", [])
        else:
            required = operation.parameters(about["in"])[field].get("required", False)
        assert about["required"] == required, field


@for_every_call
def test_statuses_are_the_same(name: str, call: Call, operation: Operation) -> None:
    assert call.statuses() == operation.responses().keys()


@for_every_call
def test_error_codes_are_the_same(name: str, call: Call, operation: Operation) -> None:
    every, with_token = reference.shared_codes()
    public = operation.about.get("security") == []
    shared = every if public else every | with_token
    assert not call.codes() & shared, "named for every call already"
    assert call.codes() | shared == set().union(*operation.codes().values())


def test_the_shared_codes_are_the_same() -> None:
    assert reference.shared_codes() == (
        set(openapi.EVERYWHERE),
        set(openapi.AUTHENTICATED),
    )


@for_every_call
def test_request_fields_are_the_same(name: str, call: Call, operation: Operation) -> None:
    schema = operation.request_schema()
    fields = operation.fields(schema, deep=False) if schema else set()
    assert call.parameters("Request", "body") == fields


@for_every_call
def test_response_fields_are_the_same(name: str, call: Call, operation: Operation) -> None:
    named = call.parameters("Response", "body")
    outer, all_fields = set(), set()
    for schema in operation.response_schemas():
        outer |= operation.fields(schema, deep=False)
        all_fields |= operation.fields(schema, deep=True)
    assert named >= outer
    # The reference names the fields of an object with its name or, in a list of objects, without it.
    assert named <= all_fields | {field.rpartition(".")[2] for field in all_fields}


@for_every_call
def test_a_field_inside_a_field_is_explained(name: str, call: Call, operation: Operation) -> None:
    explained = call.parameters("Response", "body") | call.parameters("Request", "body")
    explained |= call.words()
    for (
        other,
        call_of_one,
    ) in reference.calls().items():  # the reference says "as Show fact shows it"
        if re.fullmatch(r"GET /v1/(stacks/{stack}(/\w+/{\w+})?|subscriptions/{\w+})", other):
            explained |= call_of_one.parameters("Response", "body") | call_of_one.words()
    explained |= {field.rpartition(".")[2] for field in explained}
    schemas = [*operation.response_schemas(), operation.request_schema() or {}]
    for schema in schemas:
        fields = operation.fields(schema, deep=True) - explained
        assert {field.rpartition(".")[2] for field in fields} <= explained


@for_every_call
def test_a_body_has_a_sample_and_a_sample_a_body(
    name: str, call: Call, operation: Operation
) -> None:
    assert bool(call.samples("request")) == bool(operation.request_schema())
    if name != ITSELF:
        assert bool(call.samples("response")) == bool(operation.response_schemas())


@for_every_call
def test_samples_obey_the_schemas_of_the_document(
    name: str, call: Call, operation: Operation
) -> None:
    for kind, schemas in (
        ("request", [operation.request_schema()]),
        ("response", operation.response_schemas()),
    ):
        for file in call.samples(kind):
            if file.endswith(".json"):
                sample = json.loads((SAMPLES / file).read_text())
                for schema in schemas:
                    assert complaints(schema or {}, sample) == [], file


@for_every_call
def test_a_body_has_an_example_that_obeys_its_schema(
    name: str, call: Call, operation: Operation
) -> None:
    for kind, about in operation.about.get("requestBody", {}).get("content", {}).items():
        assert "example" in about, kind
        assert complaints(about["schema"], about["example"]) == [], kind


def test_the_sample_of_an_error_obeys_the_schema_of_its_answer() -> None:
    sample = json.loads((SAMPLES / "error-response.json").read_text())
    put = described()["PUT /v1/stacks/{stack}/facts/{path}"].responses()
    assert complaints(put[412]["content"][JSON]["schema"], sample) == []
    assert complaints(put[409]["content"][PROBLEM]["schema"], sample) != []


@for_every_call
def test_a_refusal_has_the_one_form_and_its_codes_and_their_status(
    name: str, call: Call, operation: Operation
) -> None:
    for status, codes in operation.codes().items():
        answer = operation.responses()[status]
        assert codes
        assert {STATUS[code][0] for code in codes} == {status}
        if name.startswith("HEAD "):
            assert "content" not in answer
            continue
        assert list(answer["content"]) == [JSON, PROBLEM]
        form, values = answer["content"][JSON]["schema"]["allOf"]
        assert operation.resolve(form) == documented()["components"]["schemas"]["Error"]
        enumerated = values["properties"]["errors"]["items"]["properties"]["code"]["enum"]
        assert set(enumerated) == {PREFIX + code for code in codes}


def test_every_code_may_be_behind_some_answer() -> None:
    named = set().union(
        *(codes for operation in described().values() for codes in operation.codes().values())
    )
    # Calls do not use other methods or malformed HTTP, and no code stands for its class alone.
    assert STATUS.keys() - named == {"method_not_allowed", "http_invalid", "conflict"}


def test_headers_of_every_call_and_of_refusals_are_in_the_reference() -> None:
    text = (SOURCE / "index.rst").read_text() + (SOURCE / "errors.inc").read_text()
    sent = {
        header
        for operation in described().values()
        for answer in operation.responses().values()
        for header in answer["headers"]
    }
    explained = set(re.findall(r"``([A-Z][\w-]+)(?::[^`]*)?``", text))
    explained |= {name for name, about in _parameters() if about["in"] == "header"}
    assert sent <= explained


def _parameters() -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, reference.PARAMETERS[key])
        for call in reference.calls().values()
        for name, key in reference.named_parameters(call.text)
    ]


@for_every_call
def test_everything_in_the_document_is_described(
    name: str, call: Call, operation: Operation
) -> None:
    for where in ("path", "query", "header"):
        for field, parameter in operation.parameters(where).items():
            assert parameter.get("description"), field
    for answer in operation.responses().values():
        assert answer["description"]
        for field, header in answer["headers"].items():
            assert operation.resolve(header).get("description"), field


@for_every_call
def test_a_name_in_a_url_has_a_grammar(name: str, call: Call, operation: Operation) -> None:
    for parameter in operation.parameters("path").values():
        assert {"pattern", "maxLength"} <= parameter["schema"].keys()
        assert re.search(parameter["schema"]["pattern"], parameter["example"])


def test_every_operation_that_stores_a_value_lists_the_code_of_one_that_is_too_large() -> None:
    stack = "/v1/stacks/{stack}"
    configuration = f"{stack}/configurations/{{member}}/{{configuration}}"
    storing = {
        f"PUT {stack}/facts/{{path}}",
        f"POST {stack}/batch",
        f"PUT {configuration}",
        f"PUT {configuration}/result",
        f"POST {stack}/actions",
    }
    listing = {
        f"{method.upper()} {path}"
        for path, operations in documented()["paths"].items()
        for method, operation in operations.items()
        if "value_too_large" in json.dumps(operation)
    }
    assert storing <= listing


def test_every_whole_number_of_a_request_has_documented_bounds() -> None:
    unbounded = set()

    def search(schema: Any, place: str) -> None:
        if isinstance(schema, list):
            for each in schema:
                search(each, place)
        elif isinstance(schema, dict):
            if "$ref" in schema:
                search(
                    documented()["components"]["schemas"][schema["$ref"].rpartition("/")[2]], place
                )
            kind = schema.get("type")
            is_integer = kind == "integer" or (isinstance(kind, list) and "integer" in kind)
            if is_integer and not {"minimum", "maximum"} <= schema.keys():
                unbounded.add(place)
            for name, each in schema.get("properties", {}).items():
                search(each, f"{place} {name}")
            for name in ("items", "allOf", "anyOf", "oneOf", "additionalProperties"):
                search(schema.get(name), place)

    for path, operations in documented()["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            for parameter in operation.get("parameters", []):
                if isinstance(parameter, dict):
                    search(parameter.get("schema"), f"{method} {path} {parameter.get('name')}")
            for content in operation.get("requestBody", {}).get("content", {}).values():
                search(content.get("schema"), f"{method} {path}")
    assert unbounded == set()
