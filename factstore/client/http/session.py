"""Sends requests, and keeps connections open for the next ones."""

from __future__ import annotations

import select
import threading
import time
import weakref
from collections.abc import Mapping

from factstore.client.http.connections import Connection, open_connection
from factstore.client.http.failures import Unusable
from factstore.client.http.origin import Origin
from factstore.client.http.proxies import Proxies, Proxy
from factstore.client.http.responses import Response, lost_by
from factstore.client.http.trust import Certificates, Trust, certificates_in

_IDLE_CONNECTIONS = 8
# A server that closes an idle connection just when a request arrives resets it, and the client cannot
# know whether the request was carried out.  The service closes its own after 75 seconds by default.
_IDLE_SECONDS = 60.0


class HttpSession:
    """Sends requests; several threads may use one.

    :param trust: how servers are verified.
    :param proxies: the proxies that requests pass.
    :ivar local_address: the address of this machine on the newest connection; None before.
    """

    def __init__(self, trust: Trust, proxies: Proxies) -> None:
        self.trust = trust
        self.proxies = proxies
        self.local_address: str | None = None
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        weakref.finalize(self, _close_all, self._idle)

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str],
        *,
        certificates: Certificates | None = None,
        proxies: Proxies | None = None,
    ) -> HttpSession:
        """Return a session with the CAs, the client's certificate and the proxies that variables name.

        :param certificates: the CAs, which take precedence.
        :param proxies: the proxies, which take precedence.
        """
        certificate = environ.get("OS_CERT")
        trust = Trust(
            certificates or certificates_in(environ),
            verify=environ.get("OS_INSECURE", "").lower() not in ("1", "true", "yes", "on"),
            client=(certificate, environ.get("OS_KEY") or None) if certificate else None,
        )
        return cls(trust, proxies or Proxies.from_environ(environ))

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeouts: tuple[float, float],
        stream: bool = False,
    ) -> Response:
        """Send a request once and return the response, whatever its status.

        :param timeouts: seconds to open a connection, and without data from the server.
        :param stream: leave the body for the caller, who must close the response.
        :raises NotSent: there is no connection; also :class:`Untrusted` and :class:`Unusable`.
        :raises ResponseLost: the connection was lost after sending had begun.
        """
        origin = _origin(url)
        connection = self._connection(origin, timeouts[0])
        try:
            response = self._exchange(connection, method, url, headers, body, timeouts[1])
            if not stream:
                _ = response.content
                response.release()
                self._keep(connection)
            return response
        except BaseException:
            connection.close()
            raise

    def _exchange(
        self,
        connection: Connection,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> Response:
        origin, proxy = connection.origin, connection.proxy
        place = str(origin) if proxy is None else f"{origin} through {proxy}"
        path = url.partition("//")[2].partition("/")[2]
        target = f"/{path}"
        sent = {"Host": origin.host_header, "Accept-Encoding": "identity", **headers}
        if proxy is not None and connection.forwards:
            target = f"http://{origin.authority}{target}"
            if proxy.authorization is not None:
                sent["Proxy-Authorization"] = proxy.authorization
        opened = connection.sock
        opened.settimeout(timeout)
        with lost_by(place):
            try:
                connection.request(method, target, body, sent)
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses a body may answer and close before the whole body is sent.
                connection.is_reusable = False
            raw = connection.getresponse()
        return Response(raw, connection, opened, place)

    def forwarding_proxy(self, url: str) -> Proxy | None:
        """Return the proxy that reads the requests for a URL, or None."""
        origin = _origin(url)
        return self.proxies.find(*origin) if origin.scheme == "http" else None

    def _connection(self, origin: Origin, timeout: float) -> Connection:
        """Return an idle connection to a server, or a new one."""
        proxy = self.proxies.find(*origin)
        with self._lock:
            for connection in reversed(self._idle):
                if (connection.origin, connection.proxy) == (origin, proxy):
                    self._idle.remove(connection)
                    idle = time.monotonic() - connection.used_at
                    if idle < _IDLE_SECONDS and not _is_readable(connection):
                        return connection
                    connection.close()
        opened = open_connection(origin, proxy, self.trust, timeout)
        self.local_address = str(opened.sock.getsockname()[0])
        return opened

    def _keep(self, connection: Connection) -> None:
        """Keep a connection for the next request, unless its server closes it."""
        if not (connection.is_open and connection.is_reusable):
            connection.close()
            return
        connection.used_at = time.monotonic()
        with self._lock:
            self._idle.append(connection)
            surplus = self._idle[:-_IDLE_CONNECTIONS]
            del self._idle[:-_IDLE_CONNECTIONS]
        _close_all(surplus)


def _origin(url: str) -> Origin:
    try:
        return Origin.parse(url)
    except ValueError as error:
        server = "/".join(url.split("/", 3)[:3]).rpartition("@")[2]
        raise Unusable(
            f"{server[:80]!r} is not the URL of a service. Correct the endpoint, in the catalog or"
            " where it is set, to http://HOST:PORT or https://HOST:PORT."
        ) from error


def _is_readable(connection: Connection) -> bool:
    """Return True if an idle connection was closed, or has data for which nothing was requested."""
    if not hasattr(select, "poll"):  # eventlet, in which Heat may run, removes it
        return bool(select.select([connection.sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _close_all(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()
