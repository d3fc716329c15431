"""The headers of requests and responses, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

from factstore import SERVICE_TYPE
from factstore.api import microversion
from factstore.api.agent_files import SHA256_PATTERN
from factstore.api.cause import CAUSE
from factstore.api.conditional import GENERATION, IF_PLAN
from factstore.core.model.batch_plan import PLAN_PATTERN
from factstore.core.model.checksum import CHECKSUM_PATTERN
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.member import GENERATION_PATTERN


def string(**more: object) -> dict[str, Any]:
    """Return the schema of a string."""
    return {"type": "string", **more}


def _header(description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "schema": schema or string()}


def _tags(tag: str) -> dict[str, Any]:
    # Not an enumeration of '*' as an alternative, which the documentation page would offer alone.
    return string(pattern=rf"^(\*|{tag}(, {tag})*)$")


_OTHER_SERVICE = rf"(?!\s*{SERVICE_TYPE}\s)\s*[^\s,]+\s+[^\s,]+\s*"
_TAG = '"[!#-~]*"'
_VERSIONS = [*map(microversion.version_text, microversion.supported()), "latest"]

REQUEST_HEADERS = {
    "microversion": {
        "name": microversion.HEADER,
        **_header(
            "The requested version of the API. The default is the oldest. Versions of other services "
            "are ignored.",
            string(
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
        **_header("'*': write only if the resource does not exist.", string(enum=["*"])),
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
            string(pattern=f"^{GENERATION_PATTERN}$"),
        ),
    },
    "idempotency_key": {
        "name": "Idempotency-Key",
        **_header(
            "A name for this request. A repeated request with the same key is not carried out again.",
            string(pattern="^[!-~]([ -~]{0,253}[!-~])?$", minLength=1, maxLength=255),
        ),
    },
    "cause": {
        "name": CAUSE,
        **_header(
            "The cursor on which the client acts: why it sends this request. It is stored with the "
            "fact or the member, if that changes, and shown by GET .../members/{member}/why.",
            string(pattern=f"^{CURSOR_PATTERN}$"),
        ),
    },
    "if_plan": {
        "name": IF_PLAN,
        **_header(
            "The plan that a dry run of the same batch returned: carry it out only if it still does "
            "exactly that.",
            string(pattern=f"^{PLAN_PATTERN}$"),
        ),
    },
    "last_event_id": {
        "name": "Last-Event-ID",
        **_header(
            "The last id of a stream, after which to continue. It takes precedence over 'since'.",
            string(pattern=f"^({CURSOR_PATTERN})?$"),
        ),
    },
}
"""Request headers, by the names that ``Blueprint.request_headers`` takes."""

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
        "The strong entity tag of the representation, in quotes.", string(pattern=f"^{_TAG}$")
    ),
    "Location": _header("The URL of the new resource."),
    "Factstore-Agent-Version": _header("The version of the agent."),
    "Factstore-Agent-Sha256": _header(
        "The digest of the agent's file, in lower case.", string(pattern=f"^{SHA256_PATTERN}$")
    ),
    "Factstore-Cursor": _header(
        "The cursor from which a watch delivers everything that follows the response.",
        string(pattern=f"^{CURSOR_PATTERN}$"),
    ),
    "Factstore-Checksum": _header(
        "The checksum of the context, without the parts for a member.",
        string(pattern=f"^{CHECKSUM_PATTERN}$"),
    ),
    "Factstore-Hint": _header("A probable mistake in the request, which was carried out."),
    "Factstore-Unchanged": _header(
        "'true' if the request changed nothing, so nothing was written.", string(enum=["true"])
    ),
    "Retry-After": _header(
        "Seconds after which to repeat the request.", {"type": "integer", "minimum": 0}
    ),
    "WWW-Authenticate": _header(
        "The URL of the identity service, or a note that the grant is not valid."
    ),
}
"""Response headers; the required ones are in every response."""
