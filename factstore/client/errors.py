"""The exceptions that the client raises.

The tree::

    FactstoreError
    ├── Refused                 the service refused the request; repeating it has the same result
    │   ├── BadRequest          400, 405, 406, 415: the request can never succeed
    │   ├── Unauthorized        401: the token or grant is missing or not valid
    │   ├── Forbidden           403: policy or a limit does not allow the request
    │   ├── NotFound            404: the resource does not exist in this project
    │   │   └── WaitTimeout     the awaited fact still does not exist; also a TimeoutError
    │   ├── Conflict            409: the request conflicts with stored data
    │   ├── Gone                410: the history is no longer kept; list, then watch again
    │   ├── PreconditionFailed  412: has the current etag
    │   └── TooLarge            413: a value, a body or a batch is too large
    ├── Unavailable             503, or no response: nothing was written
    │   ├── CertificateError    the server, or a file of CAs, cannot be trusted
    │   └── RateLimited         429: too many requests
    ├── OutcomeUnknown          504, or a lost response: the write may or may not have happened
    ├── UnexpectedAnswer        500, or a response that is not part of the API
    └── UnusableSettings        no client can be made; also a ValueError
        └── MissingVariables    a variable that connect() needs is not set

Errors that occur before the request to factstore, with tokens and the catalog, are raised unchanged as
``keystoneauth1.exceptions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from factstore.client.http.failures import HttpFailure

if TYPE_CHECKING:
    from factstore.client.http.responses import Response


class FactstoreError(Exception):
    """A call that failed.

    :param detail: a human-readable description.
    :param status: the HTTP status; None if there was no response.
    :param code: the stable error code, such as ``contextualization.not_found``.
    :param request_id: the id of the request in the service's log.
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


class UnusableSettings(FactstoreError, ValueError):
    """The settings for a connection are incomplete, or contradict each other."""


class MissingVariables(UnusableSettings):
    """The ``OS_*`` variables that :func:`~factstore.client.connect` needs are not set.

    :ivar options: the names of the options that they set.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self.options = tuple(options)
        missing = ", ".join(f"{option} ({variable})" for option, variable in options.items())
        super().__init__(
            f"No service is named, because an option is not set: {missing}. With Keystone, source an"
            " openrc file, or export OS_CLOUD with the name of a cloud in clouds.yaml. For the"
            " service of make standalone, export OS_AUTH_TYPE=none"
            ' OS_ENDPOINT=http://127.0.0.1:8796, or call connect("http://127.0.0.1:8796").'
        )


class Refused(FactstoreError):
    """The service refused the request.  Repeating it has the same result."""


class BadRequest(Refused):
    """The request can never succeed."""


class Unauthorized(Refused):
    """The token or grant is missing or not valid."""


class Forbidden(Refused):
    """Policy or a limit does not allow the request."""


class NotFound(Refused):
    """The resource does not exist, or belongs to another project.

    :param retry_after: seconds after which to try again, if the request waited for the resource.
    """

    retry_after: float | None = None


class WaitTimeout(NotFound, TimeoutError):
    """The fact for which a call waited still does not exist."""


class Conflict(Refused):
    """The request conflicts with stored data."""


class Gone(Refused):
    """The requested history is no longer kept.  List, then watch from the cursor of the list."""


class PreconditionFailed(Refused):
    """A precondition or a guard is not met.  Nothing was written."""

    @property
    def etag(self) -> str | None:
        """The current etag of the fact, without quotes; None if the fact does not exist."""
        etag = self.members.get("etag")
        return etag if isinstance(etag, str) else None


class TooLarge(Refused):
    """A value, a body or a batch exceeds its limit."""


class Unavailable(FactstoreError):
    """The service is unavailable.  Nothing was written.

    :param retry_after: seconds after which to try again; None if the service does not state it.
    :param is_permanent: True if each request fails until a setting or a certificate is changed, as with
        the wrong password for a proxy.  Such a request is not repeated.
    """

    retry_after: float | None = None
    is_permanent = False


class CertificateError(Unavailable):
    """The server's certificate, or the file of CAs to verify it with, cannot be trusted."""

    is_permanent = True


class RateLimited(Unavailable):
    """The caller sends too many requests."""


class OutcomeUnknown(FactstoreError):
    """The write may or may not have happened.  Read, or repeat it with its idempotency key."""


class UnexpectedAnswer(FactstoreError):
    """The response of the service, or of a proxy, is not part of the API."""


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
_EXCERPT = 200  # characters of a body that is not factstore's


def from_response(response: Response, *, writes: bool) -> FactstoreError:
    """Return the error for a response.

    :param writes: whether the request was a write.  Its outcome is unknown if a gateway lost the
        connection to the service.
    """
    status = response.status_code
    kind = _BY_STATUS.get(status, UnexpectedAnswer)
    if status in (502, 504):
        kind = OutcomeUnknown if writes else Unavailable
    entry = _first_error(response)
    detail = entry.pop("detail", None) or _redirect(response)
    code = entry.pop("code", None)
    request_id = entry.pop("request_id", None) or response.headers.get("X-Openstack-Request-Id")
    error = kind(
        detail if isinstance(detail, str) else _excerpt(response),
        status=status,
        code=code if isinstance(code, str) else None,
        request_id=request_id if isinstance(request_id, str) else None,
        members={name: entry[name] for name in entry.keys() - {"status", "title", "links"}},
    )
    if isinstance(error, (Unavailable, NotFound)):
        error.retry_after = _seconds(response.headers.get("Retry-After"))
    return error


def _first_error(response: Response) -> dict[str, Any]:
    """Return the first error of the body; empty if the body is not factstore's."""
    try:
        return dict(response.json()["errors"][0])
    except (ValueError, LookupError, TypeError, HttpFailure):
        return {}


def _redirect(response: Response) -> str | None:
    """Describe a redirect.  None is followed: the credential is for the configured server only."""
    if response.status_code not in (301, 302, 303, 307, 308):
        return None
    target = urlsplit(response.headers.get("Location", ""))
    place = f"{target.scheme}://{target.hostname}{target.path}" if target.hostname else target.path
    return (
        f"The server redirects to {place[:_EXCERPT]!a} with status {response.status_code}."
        " Redirects are not followed. Configure the URL of the service itself."
    )


def _excerpt(response: Response) -> str:
    """Describe a response that other software sent."""
    try:
        body = response.content.decode("utf-8", "replace")
    except HttpFailure:
        body = ""
    excerpt = " ".join(body.split())[:_EXCERPT]
    return f"HTTP status {response.status_code} without factstore's error body: {excerpt!r}"


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
