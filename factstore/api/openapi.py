"""What the OpenAPI document says of an operation beyond its schemas.

Which codes may be behind each failing status, which headers an operation takes and sends, and the
grammar of the names in its URL.  All of it is put together once, when the application is made, and
nothing of it is there when a request is served.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from apispec import APISpec

from factstore.api import answers, microversion
from factstore.api.conditional import GENERATION
from factstore.api.errors import CONTENT_TYPE, PREFIX, STATUS
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.grant import GRANT_ID_PATTERN
from factstore.core.model.member import GENERATION_PATTERN
from factstore.core.model.path import PATH_LENGTH, PATH_PATTERN, SEGMENT_LENGTH, SEGMENT_PATTERN

# Codes that operations share

EVERYWHERE = (
    "query_invalid",
    "ambiguous",
    "header_invalid",
    "not_loopback",
    "not_acceptable",
    "microversion_unsupported",
    "url_too_long",
    "headers_too_large",
    "internal_error",
)
"""Of every operation."""

AUTHENTICATED = (
    "unauthorized",
    "forbidden",
    "project_required",
    "store_unavailable",
    "storage_full",
    "identity_unavailable",
    "rate_limited",
)
"""Of every operation that is not for everybody; a read may have to write, to see what is newest."""

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
"""Of every operation that reads JSON."""

VALUE = ("ttl_invalid", "value_too_large", "quota_exceeded")
"""Of every operation that stores values."""

SEALED = ("readers_invalid", "sealing_unavailable", "seal_broken")
"""Of every operation that may store sensitive facts."""

WRITING = ("contention", "outcome_unknown")
"""Of every operation that writes."""

FACT_WRITING = (
    *WRITING,
    "parameter_protected",
    "generation_stale",
    "idempotency_key_reused",
)
"""Of every operation that writes facts."""

BOUND = ("member_missing", "member_full")
"""Of every operation that may let facts go with a member."""

PAGED = ("path_invalid", "cursor_invalid", "cursor_expired")
"""Of every list."""


def _text(**more: object) -> dict[str, Any]:
    return {"type": "string", **more}


def _header(description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "schema": schema or _text()}


def _tags(tag: str) -> dict[str, Any]:
    return _text(anyOf=[{"enum": ["*"]}, {"pattern": f"^{tag}(, {tag})*$"}])


_CURSOR = _text(pattern=f"^{CURSOR_PATTERN}$")
_OTHER_SERVICE = rf"(?!\s*{microversion.SERVICE_TYPE}\s)\s*[^\s,]+\s+[^\s,]+\s*"
_TAG = '"[!#-~]*"'
_VERSIONS = [*map(microversion.shown, microversion.supported()), "latest"]

PATH_PARAMETERS = {
    "stack": {
        "description": "The stack's name: one segment, as in a fact's path.",
        "schema": _text(pattern=f"^{SEGMENT_PATTERN}$", minLength=1, maxLength=SEGMENT_LENGTH),
        "example": "slurm",
    },
    "member": {
        "description": "The member's name: one segment, as in a fact's path.",
        "schema": _text(pattern=f"^{SEGMENT_PATTERN}$", minLength=1, maxLength=SEGMENT_LENGTH),
        "example": "c1",
    },
    "path": {
        "description": (
            "The fact's path: segments joined by '/', which stands in the URL as it is, "
            "never as %2F."
        ),
        "schema": _text(pattern=f"^{PATH_PATTERN}$", minLength=1, maxLength=PATH_LENGTH),
        "example": "nodes/head/ip",
    },
    "grant": {
        "description": "The grant's id.",
        "schema": _text(pattern=f"^{GRANT_ID_PATTERN}$", minLength=1, maxLength=SEGMENT_LENGTH),
        "example": "4d5e2f0c8a7b4e1f9d3c2b1a0f9e8d7c-0123456789abcdef",
    },
    "waiter": {
        "description": "The waiter's name: one segment, as in a fact's path.",
        "schema": _text(pattern=f"^{SEGMENT_PATTERN}$", minLength=1, maxLength=SEGMENT_LENGTH),
        "example": "cluster-ready",
    },
}
"""The names that stand in URLs."""

REQUEST_HEADERS = {
    "microversion": {
        "name": microversion.HEADER,
        **_header(
            "The version of the API that is wanted; without it, the oldest. Versions of other "
            "services do not matter here.",
            _text(
                anyOf=[
                    {"enum": [f"{microversion.SERVICE_TYPE} {v}" for v in _VERSIONS]},
                    {"pattern": rf"^{_OTHER_SERVICE}(,{_OTHER_SERVICE})*$"},
                ]
            ),
        ),
    },
    "if_match": {
        "name": "If-Match",
        **_header(
            "Entity tags in quotes, or '*': write only if the fact has one of these, or is there.",
            _tags(_TAG),
        ),
    },
    "if_none_match_write": {
        "name": "If-None-Match",
        **_header("'*': write only if nothing is there.", _text(enum=["*"])),
    },
    "if_none_match_read": {
        "name": "If-None-Match",
        **_header(
            "Entity tags that are known already, or '*': 304 if the present one is among them.",
            _tags(f"(W/)?{_TAG}"),
        ),
    },
    "generation": {
        "name": GENERATION,
        **_header(
            "The incarnation of a member that the request is from: 409 if it lives no more. What a "
            "body says of it wins.",
            _text(pattern=f"^{GENERATION_PATTERN}$"),
        ),
    },
    "idempotency_key": {
        "name": "Idempotency-Key",
        **_header(
            "Names this request: repeated with the same key it is not carried out again.",
            _text(pattern="^[!-~]([ -~]{0,253}[!-~])?$", minLength=1, maxLength=255),
        ),
    },
    "last_event_id": {
        "name": "Last-Event-ID",
        **_header(
            "The last id of a stream, to go on after it; it wins over 'since'.",
            _text(pattern=f"^({CURSOR_PATTERN})?$"),
        ),
    },
}
"""Request headers, by the names that :meth:`Blueprint.takes` knows them by."""

RESPONSE_HEADERS = {
    "X-Openstack-Request-Id": {
        **_header("The id of this request, in events and logs too."),
        "required": True,
    },
    microversion.HEADER: {
        **_header("The version of the API that answered."),
        "required": True,
    },
    "ETag": _header(
        "The strong entity tag of what the answer shows, in quotes.", _text(pattern=f"^{_TAG}$")
    ),
    "Location": _header("The URL of what was created."),
    "Factstore-Cursor": _header(
        "Whoever watches from this cursor misses nothing that came after the answer.", _CURSOR
    ),
    "Factstore-Unchanged": _header(
        "'true' if everything was so already, and nothing was written.", _text(enum=["true"])
    ),
    "Retry-After": _header("Seconds after which to try again.", {"type": "integer", "minimum": 0}),
    "WWW-Authenticate": _header("Where tokens come from, or that the grant does not hold."),
}
"""Response headers; the required ones stand in every answer."""

_ALWAYS = [name for name, header in RESPONSE_HEADERS.items() if "required" in header]
_WITH_STATUS = {201: ["Location"], 401: ["WWW-Authenticate"], 412: ["ETag"]} | {
    status: ["Retry-After"] for status in (404, 429, 503)
}


SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"grant": []}, {"grant_password": []}]
"""How callers may say who they are."""


def add_components(spec: APISpec) -> None:
    """Put what operations refer to into a document."""
    for name, about in REQUEST_HEADERS.items():
        spec.components.parameter(name, "header", dict(about), lazy=True)
    for name, header in RESPONSE_HEADERS.items():
        spec.components.header(name, header)
    spec.components.schema("Error", schema=answers.Error)
    spec.components.security_scheme(
        "token",
        {
            "type": "apiKey",
            "in": "header",
            "name": "X-Auth-Token",
            "description": "A Keystone token for a project.",
        },
    )
    says = "What a grant's holder sends: its id and its secret, "
    bearer = {"type": "http", "scheme": "bearer", "description": f"{says}joined by a dot."}
    spec.components.security_scheme("grant", bearer)
    basic = {"type": "http", "scheme": "basic", "description": f"{says}as user and password."}
    spec.components.security_scheme("grant_password", basic)


def sent(*names: str) -> dict[str, str]:
    """Headers of a success, for flask-smorest, beside those of every answer."""
    return {name: name for name in names}


def path_parameters(rule: str) -> list[dict[str, Any]]:
    """The names in a URL rule, each with its grammar."""
    names = re.findall(r"<(?:\w+:)?(\w+)>", rule)
    return [{"in": "path", "name": name, **PATH_PARAMETERS[name]} for name in names]


def complete(operation: dict[str, Any], codes: Iterable[str], *, body: bool) -> None:
    """Add to an operation's answers those that refuse, and to each the headers that it has.

    :param codes: all codes that may stand behind a refusal.
    :param body: whether refusals have one; the answers to HEAD do not.
    """
    responses: dict[int, Any] = operation["responses"]
    found: dict[int, list[str]] = defaultdict(list)
    for code in codes:
        found[STATUS[code][0]].append(code)
    for status, refusing in found.items():
        responses[status] = _refusal(status, sorted(set(refusing)), body=body)
    for status, response in responses.items():
        headers = response.setdefault("headers", {})
        headers.update(sent(*_ALWAYS, *_WITH_STATUS.get(status, [])))
    operation["responses"] = dict(sorted(responses.items()))


def _refusal(status: int, codes: list[str], *, body: bool) -> dict[str, Any]:
    meanings = "".join(f"\n- `{code}`: {STATUS[code][1]}." for code in codes)
    response: dict[str, Any] = {"description": f"{HTTPStatus(status).phrase}:\n{meanings}"}
    if body:
        coded = {"properties": {"code": {"enum": [PREFIX + code for code in codes]}}}
        response["content"] = {
            CONTENT_TYPE: {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Error"},
                        {
                            "properties": {
                                "status": {"enum": [status]},
                                "errors": {"items": coded},
                            }
                        },
                    ]
                }
            }
        }
    return response
