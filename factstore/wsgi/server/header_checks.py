"""Checks of a request's headers that need them as they arrived, before they are joined to one value."""

from __future__ import annotations

from collections.abc import Iterable

from gunicorn.http import errors as malformed

SINGLE = {
    each.upper(): each
    for each in (
        *("Authorization", "Content-Length", "Content-Type", "Host"),
        *("Idempotency-Key", "If-Plan", "Last-Event-ID", "X-Auth-Token", "X-Service-Token"),
    )
}
"""The headers with one value; others, such as ``If-Match``, contain lists, which may be split."""
OWN_PREFIX = "FACTSTORE-"
"""Each header with this prefix has one value."""

Headers = Iterable[tuple[str, str]]
"""Names, in capitals, and values."""


class RepeatedHeader(malformed.ParseException):
    """A header with one value is given twice, so that parties on the way may read different ones.

    :param name: of the header, which is its text.
    """


def check_single(headers: Headers) -> None:
    """Refuse a request with two values, or twice the same, where there can be one.

    :raises RepeatedHeader: a header is given twice.
    """
    seen = set()
    for name, _ in headers:
        if name in SINGLE or name.startswith(OWN_PREFIX):
            if name in seen:
                raise RepeatedHeader(SINGLE.get(name) or name.title())
            seen.add(name)


def check_codings(headers: Headers) -> None:
    """Refuse a chunked body that is compressed, too, which gunicorn passes on as it is.

    :raises UnsupportedTransferCoding: there is a coding before ``chunked`` (RFC 9112, section 6.1).
    """
    values = [value for name, value in headers if name == "TRANSFER-ENCODING"]
    if [value.strip().lower() for value in values] != ["chunked"]:
        raise malformed.UnsupportedTransferCoding(",".join(values))


def describe_fault(error: malformed.ParseException) -> str:
    """Return the detail for a request that gunicorn cannot parse: the fault and its remedy."""
    if isinstance(error, malformed.ExpectationFailed):
        return "Header Expect has an unknown expectation. Send 100-continue, or no such header."
    if isinstance(error, malformed.UnsupportedTransferCoding):
        return "Header Transfer-Encoding has an unknown coding. Send chunked, or a Content-Length."
    if isinstance(error, malformed.InvalidHeader):
        name = error.hdr  # or the line, if it has no colon
        if name in SINGLE or name.startswith(OWN_PREFIX) or name == "TRANSFER-ENCODING":
            given = SINGLE.get(name) or name.title()
            return f"Header {given} is given twice or malformed. Send it once, with a valid value."
    return "The request line, a header or the length of the body is malformed."


def asks_to_close(headers: Headers) -> bool:
    """Return True if ``close`` is one of the options in the ``Connection`` headers.

    gunicorn compares the first header as a whole, but it is a list (RFC 9110, section 7.6.1).
    """
    return any(
        option.strip().lower() == "close"
        for name, value in headers
        if name == "CONNECTION"
        for option in value.split(",")
    )
