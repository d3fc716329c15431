"""The OpenAPI document's descriptions of operations, beyond their schemas.

These are the error codes of each failing status, the headers of every response, and the names in URLs.
All of it runs once: when the modules are imported, or when the document is first read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from apispec import APISpec

from factstore.api.errors import PREFIX, STATUS
from factstore.api.media import JSON, PROBLEM
from factstore.api.openapi_headers import REQUEST_HEADERS, RESPONSE_HEADERS, string
from factstore.api.schemas.base import Error
from factstore.core.model.grant import GRANT_ID_PATTERN
from factstore.core.model.path import PATH_LENGTH, PATH_PATTERN, SEGMENT_LENGTH, SEGMENT_PATTERN

# Error codes that operations share

EVERYWHERE = (
    "query_invalid",
    "ambiguous",
    "header_invalid",
    "not_loopback",
    "not_acceptable",
    "microversion_unsupported",
    "request_timeout",
    "url_too_long",
    "headers_too_large",
    "internal_error",
)
"""Error codes of every operation."""

# storage_full is among them because a read may have to write in order to find the newest revision.
AUTHENTICATED = (
    "unauthorized",
    "forbidden",
    "project_required",
    "store_unavailable",
    "storage_full",
    "identity_unavailable",
    "rate_limited",
    "worker_busy",
)
"""Error codes of every operation that needs credentials."""

JSON_BODY = (
    "invalid",
    "schema",
    "json_invalid",
    "json_too_deep",
    "json_value",
    "json_duplicate_key",
    "too_large",
    "media_type",
)
"""Error codes of operations with a JSON body."""

PAGED = ("path_invalid", "cursor_invalid", "cursor_expired")
"""Error codes of lists."""

CONDITIONAL_READ = ("path_invalid", "etag_invalid", "not_found", "too_many_waiting")
"""Error codes of reads that can wait for a change."""

WRITE = ("contention", "outcome_unknown")
"""Error codes of writes."""

VALUE = ("ttl_invalid", "value_too_large", "quota_exceeded")
"""Error codes of operations that store values."""

FACT_WRITE = (*WRITE, "parameter_protected", "generation_stale", "idempotency_key_reused")
"""Error codes of operations that write facts."""

SENSITIVE = ("readers_invalid", "sealing_unavailable", "seal_broken")
"""Error codes of operations that can store sensitive facts."""

BOUND = ("member_missing", "member_full")
"""Error codes of operations that can bind facts to members."""

# Names in URLs, by the converter in the route; names without one are single segments.
_GRAMMARS: dict[str, dict[str, Any]] = {
    "fact_path": {
        "description": "The fact's path: segments joined by '/', which is never sent as %2F.",
        "schema": string(pattern=f"^{PATH_PATTERN}$", minLength=1, maxLength=PATH_LENGTH),
        "example": "nodes/head/ip",
    },
    "grant_id": {
        "description": "The grant's id.",
        "schema": string(pattern=f"^{GRANT_ID_PATTERN}$", minLength=1, maxLength=SEGMENT_LENGTH),
        "example": "4d5e2f0c8a7b4e1f9d3c2b1a0f9e8d7c-0123456789abcdef",
    },
}

_IN_EVERY_RESPONSE = [name for name, header in RESPONSE_HEADERS.items() if "required" in header]
_STATUS_HEADERS = {201: ["Location"], 401: ["WWW-Authenticate"], 412: ["ETag"]} | {
    status: ["Retry-After"] for status in (404, 429, 503)
}


SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"grant": []}, {"grant_password": []}]
"""The kinds of credentials."""


def add_components(spec: APISpec) -> None:
    """Add the components that operations refer to."""
    for name, parameter in REQUEST_HEADERS.items():
        spec.components.parameter(name, "header", dict(parameter), lazy=True)
    for name, header in RESPONSE_HEADERS.items():
        spec.components.header(name, header)
    spec.components.schema("Error", schema=Error)
    spec.components.security_scheme(
        "token",
        {
            "type": "apiKey",
            "in": "header",
            "name": "X-Auth-Token",
            "description": "A Keystone token for a project.",
        },
    )
    for name, scheme, form in (
        ("grant", "bearer", "joined by a dot"),
        ("grant_password", "basic", "as user and password"),
    ):
        description = f"The id and the secret of a grant, {form}."
        spec.components.security_scheme(
            name, {"type": "http", "scheme": scheme, "description": description}
        )


def path_parameters(rule: str) -> list[dict[str, Any]]:
    """Return the names in a URL rule, each with its grammar."""
    names = re.findall(r"<(?:(\w+):)?(\w+)>", rule)
    return [
        {"in": "path", "name": name, **_GRAMMARS.get(converter, _segment(name))}
        for converter, name in names
    ]


def _segment(noun: str) -> dict[str, Any]:
    return {
        "description": f"The {noun}'s name: one segment, with the same grammar as in a fact's path.",
        "schema": string(pattern=f"^{SEGMENT_PATTERN}$", minLength=1, maxLength=SEGMENT_LENGTH),
        "example": f"{noun}-1",
    }


def add_errors(operation: dict[str, Any], codes: Iterable[str], *, body: bool) -> None:
    """Add the error responses to an operation, and to every response its headers.

    :param codes: all error codes of the operation.
    :param body: whether error responses have a body; those to HEAD do not.
    """
    responses: dict[int, Any] = operation["responses"]
    codes_by_status: dict[int, list[str]] = defaultdict(list)
    for code in codes:
        codes_by_status[STATUS[code][0]].append(code)
    for status, its_codes in codes_by_status.items():
        responses[status] = _error_response(status, sorted(set(its_codes)), body=body)
    for status, response in responses.items():
        headers = response.setdefault("headers", {})
        names = [*_IN_EVERY_RESPONSE, *_STATUS_HEADERS.get(status, [])]
        headers.update({name: name for name in names})
    operation["responses"] = dict(sorted(responses.items()))


def _error_response(status: int, codes: list[str], *, body: bool) -> dict[str, Any]:
    meanings = "".join(f"\n- `{code}`: {STATUS[code][1]}." for code in codes)
    response: dict[str, Any] = {"description": f"{HTTPStatus(status).phrase}:\n{meanings}"}
    if body:
        entry = {"properties": {"code": {"enum": [PREFIX + code for code in codes]}}}
        values = {"properties": {"status": {"enum": [status]}, "errors": {"items": entry}}}
        schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, values]}
        response["content"] = {JSON: {"schema": schema}, PROBLEM: {"schema": schema}}
    return response
