"""Error codes with their HTTP statuses, and the body of error responses.

The body has the ``errors`` list that the API-SIG recommends, which keystoneauth reads, the ``message``
that openstacksdk reads, and the members of RFC 9457.  Its type is ``application/json``, without which
neither of them reads it, or ``application/problem+json`` for clients that name that type.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.exceptions import NotFound as RoutingNotFound
from werkzeug.routing import WebsocketMismatch

from factstore import SERVICE_TYPE
from factstore.api.body_limit import BODY_BYTES
from factstore.api.media import error_type
from factstore.core.errors import FactstoreError, Throttled, Unauthorized, Unavailable
from factstore.core.model.path import quoted

LOG = logging.getLogger(__name__)

PREFIX = f"{SERVICE_TYPE}."
HELP_PAGE = "/v1/docs/errors"
GRANT_CHALLENGE = 'Bearer realm="factstore", error="invalid_token"'
INTERNAL_ERROR = "The service failed. Its log has the cause, next to this request's id."

STATUS: dict[str, tuple[int, str]] = {
    "invalid": (400, "The request is not valid"),
    "schema": (400, "A field is missing, unknown or of the wrong type"),
    "json_invalid": (400, "The body is not JSON"),
    "json_too_deep": (400, "The JSON is nested too deeply"),
    "json_value": (400, "The JSON contains a value that is not allowed"),
    "json_duplicate_key": (400, "A JSON object names a key twice"),
    "text_invalid": (400, "The body is not text"),
    "path_invalid": (400, "A name is not valid"),
    "ttl_invalid": (400, "The time to live is not valid"),
    "readers_invalid": (400, "The readers are not valid"),
    "cursor_invalid": (400, "The cursor is malformed"),
    "target_invalid": (400, "The target is not valid"),
    "etag_invalid": (400, "The entity tag is malformed"),
    "query_invalid": (400, "A query parameter is unknown or not valid"),
    "ambiguous": (400, "A header, parameter or credential is given twice"),
    "header_invalid": (400, "A header is not valid"),
    "http_invalid": (400, "The request is not well-formed HTTP"),
    "condition_invalid": (400, "The condition is not valid"),
    "plan_invalid": (400, "The plan is malformed"),
    "batch_empty": (400, "The batch has no operations"),
    "batch_duplicate_path": (400, "The batch names a path twice"),
    "unauthorized": (401, "Authentication is required"),
    "forbidden": (403, "Not allowed"),
    "parameter_protected": (403, "Only owners can set parameters"),
    "project_required": (403, "The token is not for a project"),
    "quota_exceeded": (403, "The quota is exhausted"),
    "challenge_wrong": (403, "The challenge is not correct"),
    "not_loopback": (403, "Only local callers are served without authentication"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "not_acceptable": (406, "No acceptable representation"),
    "microversion_unsupported": (406, "The API version is not supported"),
    "request_timeout": (408, "The request did not arrive in time"),
    "conflict": (409, "The request conflicts with the current state"),
    "path_is_folder": (409, "The path is a folder"),
    "path_below_fact": (409, "The path is below a fact"),
    "generation_stale": (409, "The generation is not current"),
    "member_ttl_fixed": (409, "The member's time to live cannot be changed"),
    "member_declared": (409, "The member is not declared with this id"),
    "member_missing": (409, "The member to bind to does not exist"),
    "member_full": (409, "Too many facts are bound to the member"),
    "rank_missing": (409, "The turn has no rank"),
    "configuration_circle": (409, "The configuration would wait for itself"),
    "configuration_changed": (409, "The result is that of a former definition"),
    "configuration_ended": (409, "The configuration has another result"),
    "action_ended": (409, "The run of the action has ended"),
    "action_waiting": (409, "The member has to wait for others"),
    "subscription_pending": (409, "The target has not confirmed the subscription"),
    "idempotency_key_reused": (409, "The idempotency key was used for another request"),
    "plan_mismatch": (409, "The plan is that of another batch"),
    "cursor_expired": (410, "The history is no longer available"),
    "precondition_failed": (412, "The precondition failed"),
    "plan_outdated": (412, "The batch would not do what its plan says"),
    "too_large": (413, "The body is too large"),
    "value_too_large": (413, "The value is too large"),
    "batch_too_large": (413, "The batch is too large"),
    "url_too_long": (414, "The URL is too long"),
    "media_type": (415, "The media type is not supported"),
    "rate_limited": (429, "Too many requests"),
    "too_many_streams": (429, "Too many streams"),
    "too_many_waiting": (429, "Too many waiting requests"),
    "headers_too_large": (431, "The headers are too large"),
    "internal_error": (500, "Internal error"),
    "store_unavailable": (503, "The store is unavailable"),
    "storage_full": (503, "The store is full"),
    "sealing_unavailable": (503, "The encryption keys are missing"),
    "seal_broken": (503, "A sensitive value cannot be decrypted"),
    "contention": (503, "Too many concurrent writers"),
    "deletion_unfinished": (503, "The delivery has not ended yet"),
    "worker_busy": (503, "Too many requests wait in this worker"),
    "identity_unavailable": (503, "The identity service is unavailable"),
    "outcome_unknown": (504, "The outcome of the write is unknown"),
}

_BY_STATUS = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    413: "too_large",
    415: "media_type",
}


def error_body(
    code: str,
    detail: str,
    request_id: str,
    extra: Mapping[str, object] | None = None,
    *,
    root: str = "",
) -> tuple[int, str]:
    """Return the status and the JSON text of an error.

    :param code: one of :data:`STATUS`, without the service type.
    :param root: the prefix below which a proxy serves this service, such as ``/contextualization``.
    """
    status, title = STATUS[code]
    entry = {
        "request_id": request_id,
        "code": PREFIX + code,
        "status": status,
        "title": title,
        "detail": detail,
        "links": [{"rel": "help", "href": f"{root}{HELP_PAGE}#{code}"}],
        **(extra or {}),
    }
    problem = {
        "type": f"urn:{PREFIX[:-1]}:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "message": detail,
    }
    return status, json.dumps({"errors": [entry], **problem}) + "\n"


def respond(
    code: str,
    detail: str,
    *,
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as the response to the current request."""
    request_id = request.environ.get("openstack.request_id", "")
    status, body = error_body(code, detail, request_id, extra, root=quote(request.script_root))
    kind = error_type(request.headers.get("Accept", ""))
    response = Response(body, status, content_type=kind)
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    return response


def register(app: Flask) -> None:
    """Make the application answer all exceptions in this form."""
    app.register_error_handler(FactstoreError, _handle_error)
    app.register_error_handler(HTTPException, _handle_http_exception)
    app.register_error_handler(Exception, _handle_exception)


def error_headers(error: FactstoreError) -> dict[str, str]:
    """Return the headers of an error: ``Retry-After``, ``ETag`` or ``WWW-Authenticate``."""
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = GRANT_CHALLENGE
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error.extra.get("retry_after"), int):
        headers["Retry-After"] = str(error.extra["retry_after"])
    etag = error.extra.get("etag")
    if etag:
        headers["ETag"] = f'"{etag}"'
    return headers


def _handle_error(error: FactstoreError) -> Response:
    if STATUS[error.code][0] >= 500 and not isinstance(
        error, Throttled
    ):  # they come by the thousand
        LOG.warning("%s: %s", error.code, error.detail)
    return respond(error.code, error.detail, extra=error.extra, headers=error_headers(error))


def _handle_http_exception(error: HTTPException) -> Response:
    code = _BY_STATUS.get(error.code or 500)
    if code is None:
        return _handle_exception(error)
    headers = {}
    valid_methods = getattr(error, "valid_methods", None)
    if valid_methods:
        headers["Allow"] = ", ".join(sorted(valid_methods))
    return respond(code, _detail(error, headers), headers=headers)


def _detail(error: HTTPException, headers: Mapping[str, str]) -> str:
    """Return the detail of an error; the framework's own texts name neither cause nor remedy."""
    path = quoted(request.path)
    match error:
        case RoutingNotFound() if error.description == RoutingNotFound.description:
            return f"There is nothing at {path}. /v1/openapi.json describes all URLs of the API."
        case MethodNotAllowed():
            return (
                f"{path} does not support {request.method}. Use one of {headers.get('Allow', '')}."
            )
        case WebsocketMismatch():
            return f"{path} serves no WebSocket. Send the request without Upgrade."
        case RequestEntityTooLarge() if error.description == RequestEntityTooLarge.description:
            return f"The body is larger than {BODY_BYTES} bytes. Send less, or send it in parts."
    return error.description or HTTPStatus(error.code or 500).phrase


def _handle_exception(error: Exception) -> Response:
    LOG.error("%s %s failed.", request.method, request.path, exc_info=error)
    return respond("internal_error", INTERNAL_ERROR)
