"""What can go wrong, as exceptions.

The tree::

    FactstoreError
    ├── Refused                 the service said no; asking the same again gives the same
    │   ├── BadRequest          400, 405, 406, 415: the request can never be right
    │   ├── Unauthorized        401: no token, or one that does not hold
    │   ├── Forbidden           403: policy or a limit does not allow it
    │   ├── NotFound            404: missing, or somebody else's
    │   ├── Conflict            409: contradicts what is stored
    │   ├── Gone                410: that history is not kept any more; list, then watch again
    │   ├── PreconditionFailed  412: carries the present etag
    │   └── TooLarge            413: a value, a body or a batch
    ├── Unavailable             503, or nobody answered: nothing was written
    │   └── RateLimited         429: not now
    ├── OutcomeUnknown          504, or the answer was lost: it may or may not have been written
    └── UnexpectedAnswer        500, or anything that the API does not promise

Whatever goes wrong before factstore is asked, with tokens and the catalogue, is one of
``keystoneauth1.exceptions`` and comes through as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests


class FactstoreError(Exception):
    """A call that did not do what it was to do.

    :param detail: a sentence for people.
    :param status: the HTTP status; None when there was no answer.
    :param code: the service's stable name for it, such as ``contextualization.not_found``.
    :param request_id: what the service's log calls the request.
    :param members: further members of the error body, such as ``field`` or ``path``.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code
        self.request_id = request_id
        self.members = dict(members or {})


class Refused(FactstoreError):
    """The service said no; asking the same again gives the same."""


class BadRequest(Refused):
    """The request can never be right as it stands."""


class Unauthorized(Refused):
    """There was no token, or it does not hold."""


class Forbidden(Refused):
    """Policy or a limit does not allow it."""


class NotFound(Refused):
    """It is missing, or somebody else's.

    :param retry_after: seconds after which to look again, when a wait for it was over.
    """

    retry_after: float | None = None


class Conflict(Refused):
    """It contradicts what is stored."""


class Gone(Refused):
    """The history asked for is not kept any more: list, then watch from that list's cursor."""


class PreconditionFailed(Refused):
    """A precondition or a guard does not hold, and nothing was written.

    :param etag: the present etag of the fact in question, without quotes; None if there is none.
    """

    @property
    def etag(self) -> str | None:
        """The present etag of the fact in question, without quotes; None if there is no fact."""
        etag = self.members.get("etag")
        return etag if isinstance(etag, str) else None


class TooLarge(Refused):
    """A value, a body or a batch exceeds its limit."""


class Unavailable(FactstoreError):
    """Nobody can answer at the moment, and nothing was written.

    :param retry_after: seconds after which to try again, if the service named them.
    """

    retry_after: float | None = None


class RateLimited(Unavailable):
    """The caller asks too often."""


class OutcomeUnknown(FactstoreError):
    """The write may or may not have happened; read, or repeat it with its idempotency key."""


class UnexpectedAnswer(FactstoreError):
    """The service, or something in front of it, answered in a way the API does not promise."""


_BY_STATUS: dict[int, type[FactstoreError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: BadRequest,
    406: BadRequest,
    409: Conflict,
    410: Gone,
    412: PreconditionFailed,
    413: TooLarge,
    415: BadRequest,
    429: RateLimited,
    503: Unavailable,
}
_SHOWN = 200  # characters of a body that is not ours


def from_response(response: requests.Response, *, writes: bool) -> FactstoreError:
    """The error that a response stands for.

    :param writes: whether the request was to change something: then a gateway that lost the service
        leaves the outcome unknown.
    """
    status = response.status_code
    kind = _BY_STATUS.get(status, UnexpectedAnswer)
    if status in (502, 504):
        kind = OutcomeUnknown if writes else Unavailable
    entry = _entry(response)
    detail = entry.pop("detail", None)
    code = entry.pop("code", None)
    request_id = entry.pop("request_id", None) or response.headers.get("X-Openstack-Request-Id")
    error = kind(
        detail if isinstance(detail, str) else _foreign(response),
        status=status,
        code=code if isinstance(code, str) else None,
        request_id=request_id if isinstance(request_id, str) else None,
        members={name: entry[name] for name in entry.keys() - {"status", "title", "links"}},
    )
    if isinstance(error, Unavailable | NotFound):
        error.retry_after = _seconds(response.headers.get("Retry-After"))
    return error


def _entry(response: requests.Response) -> dict[str, Any]:
    """The first of the body's errors; empty when the body is not the service's."""
    try:
        return dict(response.json()["errors"][0])
    except (ValueError, LookupError, TypeError, requests.RequestException):
        return {}


def _foreign(response: requests.Response) -> str:
    """A sentence about an answer that some other software gave."""
    try:
        body = response.content.decode("utf-8", "replace")
    except requests.RequestException:
        body = ""
    said = " ".join(body.split())[:_SHOWN]
    return f"HTTP status {response.status_code} without factstore's error body: {said!r}"


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
