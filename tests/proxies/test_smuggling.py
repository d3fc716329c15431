"""A request that a proxy refuses does not reach the service inside of another one.

The hidden request is for the metrics, which the samples do not serve.  It is in a body whose end two
servers may see at different places.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from tests.cases import cases
from tests.http import Caller
from tests.proxies.conftest import Site
from tests.raw_http import request_bytes

METRIC = b"factstore_requests"
HIDDEN = request_bytes("GET", "/metrics")
LAST = request_bytes("GET", "/", "Connection: close")

_CHUNKED = "Transfer-Encoding: chunked"
_END = b"0\r\n\r\n"

HEADERS: dict[str, tuple[str, ...]] = {
    "a length and chunks": (f"Content-Length: {len(_END + HIDDEN)}", _CHUNKED),
    "chunks and a length": (_CHUNKED, f"Content-Length: {len(_END + HIDDEN)}"),
    "a short length and chunks": ("Content-Length: 5", _CHUNKED),
    "no length and chunks": ("Content-Length: 0", _CHUNKED),
    "two lengths": ("Content-Length: 5", f"Content-Length: {len(_END + HIDDEN)}"),
    "a list of lengths": (f"Content-Length: 5, {len(_END + HIDDEN)}",),
    "a signed length": ("Content-Length: +5",),
    "a hexadecimal length": ("Content-Length: 0x5",),
    "a space before the colon": ("Transfer-Encoding : chunked", "Content-Length: 5"),
    "a space before the name": (" Transfer-Encoding: chunked", "Content-Length: 5"),
    "a tab before the value": ("Transfer-Encoding:\tchunked", "Content-Length: 5"),
    "another coding": ("Transfer-Encoding: xchunked", "Content-Length: 5"),
    "two codings": (_CHUNKED, "Transfer-Encoding: identity", "Content-Length: 5"),
    "a coding in a list": ("Transfer-Encoding: identity, chunked", "Content-Length: 5"),
    "a coding of another case": ("transfer-encoding: cHuNkEd", "Content-Length: 5"),
    "a folded line": ("X-Odd: a\r\n Transfer-Encoding: chunked", "Content-Length: 5"),
    "a line that ends with LF": ("X-Odd: a\nTransfer-Encoding: chunked", "Content-Length: 5"),
    "a line that ends with CR": ("X-Odd: a\rTransfer-Encoding: chunked", "Content-Length: 5"),
    "an underscore": ("Transfer_Encoding: chunked", "Content-Length: 5"),
    "a length for a connection": ("Connection: content-length", "Content-Length: 5"),
}

BODIES = {
    "the end of chunks": _END + HIDDEN,
    "a large chunk": b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
    "an odd size of a chunk": b"0x5\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    "a chunk that ends with LF": b"5\nabcde\n0\n\n" + HIDDEN,
    "a trailer": b"0\r\nContent-Length: 5\r\n\r\n" + HIDDEN,
}


def test_a_request_that_the_proxy_refuses_is_not_smuggled_to_the_service(
    site: Site, api: Caller, stack: str
) -> None:
    assert METRIC in Caller(site.services[0].url).get("/metrics").content
    tries = [(name, headers, BODIES["the end of chunks"]) for name, headers in HEADERS.items()]
    tries += [(name, (_CHUNKED,), body) for name, body in BODIES.items()]
    # Some are waited for until the time is over, so all are sent at once.
    raws = [
        request_bytes("POST", f"{stack}/batch", *headers) + body + LAST
        for _, headers, body in tries
    ]
    with cases() as case, ThreadPoolExecutor(len(raws)) as threads:
        received = list(threads.map(lambda raw: _everything(site, raw), raws))
        for number, (name, _, _) in enumerate(tries):
            with case(name):
                assert METRIC not in received[number]
                # No response was left for the next request on the proxy's connections.
                answer = api.put(f"{stack}/facts/own", name)
                assert answer.status_code in (HTTPStatus.OK, HTTPStatus.CREATED)
                assert answer.json()["value"] == name


def _everything(site: Site, raw: bytes) -> bytes:
    """Send bytes, and return all that is received until the connection ends."""
    received = b""
    with site.proxy.connect() as connection, contextlib.suppress(TimeoutError, OSError):
        connection.settimeout(3)
        connection.sendall(raw)
        while data := connection.recv(65536):
            received += data
    return received
