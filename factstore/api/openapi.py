"""The OpenAPI document's descriptions of operations, beyond their schemas.

These are the error codes of each failing status, the headers of requests and responses, and the names
in URLs.  All of it runs once: when the modules are imported, or when the document is first read.
The module is longer than 300 lines because every header and every shared error code is listed here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from apispec import APISpec

from factstore import SERVICE_TYPE
from factstore.api import microversion
from factstore.api.agent_files import SHA256_PATTERN
from factstore.api.cause import CAUSE
from factstore.api.conditional import GENERATION, IF_PLAN
from factstore.api.errors import PREFIX, STATUS
from factstore.api.media import JSON, PROBLEM
from factstore.api.schemas.base import Error
from factstore.core.model.batch_plan import PLAN_PATTERN
from factstore.core.model.checksum import CHECKSUM_PATTERN
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.grant import GRANT_ID_PATTERN
from factstore.core.model.member import GENERATION_PATTERN
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


def _text(**more: object) -> dict[str, Any]:
    return {"type": "string", **more}


def _header(description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "schema": schema or _text()}


def _tags(tag: str) -> dict[str, Any]:
    # Not an enumeration of '*' as an alternative, which the documentation page would offer alone.
    return _text(pattern=rf"^(\*|{tag}(, {tag})*)$")


_OTHER_SERVICE = rf"(?!\s*{SERVICE_TYPE}\s)\s*[^\s,]+\s+[^\s,]+\s*"
_TAG = '"[!#-~]*"'
_VERSIONS = [*map(microversion.version_text, microversion.supported()), "latest"]

# Names in URLs, by the converter in the route; names without one are single segments.
_GRAMMARS: dict[str, dict[str, Any]] = {
    "fact_path": {
        "description": "The fact's path: segments joined by '/', which is never sent as %2F.",
        "schema": _text(pattern=f"^{PATH_PATTERN}$", minLength=1, maxLength=PATH_LENGTH),
        "example": "nodes/head/ip",
    },
    "grant_id": {
        "description": "The grant's id.",
        "schema": _text(pattern=f"^{GRANT_ID_PATTERN}$", minLength=1, maxLength=SEGMENT_LENGTH),
        "example": "4d5e2f0c8a7b4e1f9d3c2b1a0f9e8d7c-0123456789abcdef",
    },
}

REQUEST_HEADERS = {
    "microversion": {
        "name": microversion.HEADER,
        **_header(
            "The requested version of the API. The default is the oldest. Versions of other services "
            "are ignored.",
            _text(
                anyOf=[
                    {"enum": [f"{SERVICE_TYPE} {v}" for v in _VERSIONS]},
                    {"pattern": rf"^{_OTHER_SERVICE}(,{_OTHER_SERVICE})*$"},
                ]
            ),
        ),
    },
    "if_match": {
        "name": "If-Match",
        **_header(
            "Entity tags in quotes: write only if the resource has one of them. With '*', write only "
            "if the resource exists.",
            _tags(_TAG),
        ),
    },
    "if_none_match_write": {
        "name": "If-None-Match",
        **_header("'*': write only if the resource does not exist.", _text(enum=["*"])),
    },
    "if_none_match_read": {
        "name": "If-None-Match",
        **_header(
            "Known entity tags, or '*' for any: the response is 304 if the current tag is among them.",
            _tags(f"(W/)?{_TAG}"),
        ),
    },
    "generation": {
        "name": GENERATION,
        **_header(
            "The generation of the member that sends the request. If it is not current, the response "
            "is 409. A generation in the body takes precedence.",
            _text(pattern=f"^{GENERATION_PATTERN}$"),
        ),
    },
    "idempotency_key": {
        "name": "Idempotency-Key",
        **_header(
            "A name for this request. A repeated request with the same key is not carried out again.",
            _text(pattern="^[!-~]([ -~]{0,253}[!-~])?$", minLength=1, maxLength=255),
        ),
    },
    "cause": {
        "name": CAUSE,
        **_header(
            "The cursor on which the client acts: why it sends this request. It is stored with the "
            "fact or the member, if that changes, and shown by GET .../members/{member}/why.",
            _text(pattern=f"^{CURSOR_PATTERN}$"),
        ),
    },
    "if_plan": {
        "name": IF_PLAN,
        **_header(
            "The plan that a dry run of the same batch returned: carry it out only if it still does "
            "exactly that.",
            _text(pattern=f"^{PLAN_PATTERN}$"),
        ),
    },
    "last_event_id": {
        "name": "Last-Event-ID",
        **_header(
            "The last id of a stream, after which to continue. It takes precedence over 'since'.",
            _text(pattern=f"^({CURSOR_PATTERN})?$"),
        ),
    },
}
"""Request headers, by the names that :meth:`Blueprint.request_headers` takes."""

RESPONSE_HEADERS = {
    "X-Openstack-Request-Id": {
        **_header("The id of this request, which is also in events and logs."),
        "required": True,
    },
    microversion.HEADER: {
        **_header("The version of the API that served the request."),
        "required": True,
    },
    "ETag": _header(
        "The strong entity tag of the representation, in quotes.", _text(pattern=f"^{_TAG}$")
    ),
    "Location": _header("The URL of the new resource."),
    "Factstore-Agent-Version": _header("The version of the agent."),
    "Factstore-Agent-Sha256": _header(
        "The digest of the agent's file, in lower case.", _text(pattern=f"^{SHA256_PATTERN}$")
    ),
    "Factstore-Cursor": _header(
        "The cursor from which a watch delivers everything that follows the response.",
        _text(pattern=f"^{CURSOR_PATTERN}$"),
    ),
    "Factstore-Checksum": _header(
        "The checksum of the context, without the parts for a member.",
        _text(pattern=f"^{CHECKSUM_PATTERN}$"),
    ),
    "Factstore-Hint": _header("A probable mistake in the request, which was carried out."),
    "Factstore-Unchanged": _header(
        "'true' if the request changed nothing, so nothing was written.", _text(enum=["true"])
    ),
    "Retry-After": _header(
        "Seconds after which to repeat the request.", {"type": "integer", "minimum": 0}
    ),
    "WWW-Authenticate": _header(
        "The URL of the identity service, or a note that the grant is not valid."
    ),
}
"""Response headers; the required ones are in every response."""

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
        "schema": _text(pattern=f"^{SEGMENT_PATTERN}$", minLength=1, maxLength=SEGMENT_LENGTH),
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
