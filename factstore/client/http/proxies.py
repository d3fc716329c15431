"""Proxies: which requests pass one, by the environment or by an option.

Requests to this machine and to link-local addresses, such as the metadata service of clouds, never pass
a proxy.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union
from urllib.parse import unquote, urlsplit

from factstore.client.http.failures import Unusable

DIRECT = "none"
"""The value of an option for a proxy that stands for no proxy."""

_BRACKETS = re.compile(r"\[([0-9a-f:.]+)\](/[0-9]+)?$")
_WITH_PORT = re.compile(r"([^:]+|\[.+\]):([0-9]{1,5})")
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


class BadProxy(Unusable):
    """The URL of a proxy cannot be used."""


@dataclass(frozen=True)
class Proxy:
    """A proxy.

    :param source: the option or variable that names it, for errors.
    :param authorization: the header for the proxy, if its URL has a user and a password.
    :param url: its URL, with user and password.
    """

    host: str
    port: int
    source: str
    authorization: str | None = field(default=None, repr=False)
    url: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, source: str) -> Proxy:
        """Return the proxy at a URL; the scheme may be left out.

        :raises BadProxy: it is not the URL of a proxy.
        """
        # The URL is not quoted in these errors: it may contain a password.
        try:
            parts = urlsplit(url.strip() if "://" in url else f"http://{url.strip()}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        else:
            if parts.scheme.lower() != "http":
                raise BadProxy(
                    f"The proxy in {source} cannot be used: its URL begins with {parts.scheme}://, and"
                    " only http:// is supported."
                )
        if not host:
            raise BadProxy(
                f"The proxy in {source} cannot be used: it is not a URL such as http://proxy:3128."
            )
        authorization = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return cls(host, port or 80, source, authorization, parts.geturl())

    @property
    def address(self) -> str:
        """The URL of the proxy, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __str__(self) -> str:
        return f"the proxy {self.address} ({self.source})"


class Proxies:
    """The proxies for URLs.

    :param proxies: the URL of a proxy and its source, by the scheme of requests or ``all``.
    :param exceptions: hosts that are reached directly, as in ``no_proxy``.
    """

    def __init__(
        self, proxies: Mapping[str, tuple[str, str]] | None = None, exceptions: str = ""
    ) -> None:
        self._proxies = dict(proxies or {})
        self._exceptions = [each for each in re.split(r"[,\s]+", exceptions) if each]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Proxies:
        """Return the proxies of ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``."""
        proxies = {}
        for scheme in ("http", "https", "all"):
            lower = f"{scheme}_proxy"
            # In a CGI program, HTTP_PROXY is a header of the request (CVE-2016-5385).
            upper = () if scheme == "http" and "REQUEST_METHOD" in environ else (lower.upper(),)
            for name in (lower, *upper):
                if name in environ:  # a variable that is empty stands for no proxy
                    if environ[name].strip():
                        proxies[scheme] = (environ[name], name)
                    break
        return cls(proxies, environ.get("no_proxy", environ.get("NO_PROXY", "")))

    @classmethod
    def from_option(cls, value: str, source: str) -> Proxies:
        """Return the proxy of an option for all requests; ``none`` for no proxy.

        :raises BadProxy: the value is not the URL of a proxy.
        """
        if value == DIRECT:
            return cls()
        Proxy.parse(value, source)
        return cls({"all": (value, source)})

    def find(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy for requests to a host, or None if it is reached directly.

        :raises BadProxy: the URL of the proxy cannot be used.
        """
        found = self._proxies.get(scheme) or self._proxies.get("all")
        if found is None or self._is_direct(host.rstrip(".").lower(), port):
            return None
        return Proxy.parse(*found)

    def _is_direct(self, host: str, port: int) -> bool:
        address = _address(host)
        if address is not None and (address.is_loopback or address.is_link_local):
            return True
        if host == "localhost" or host.endswith(".localhost"):
            return True
        return any(_matches(each.lower(), host, port, address) for each in self._exceptions)


def _matches(exception: str, host: str, port: int, address: _Address | None) -> bool:
    """Return True if an entry of no_proxy is for a host."""
    if exception == "*":
        return True
    network = _network(exception)
    with_port = None if network is not None else _WITH_PORT.fullmatch(exception)
    if with_port is not None:
        if int(with_port[2]) != port:
            return False
        exception = with_port[1]
        network = _network(exception)
    if network is not None:
        return address is not None and address in network
    name = exception[1:] if exception.startswith("*.") else exception
    name = name.strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(_BRACKETS.sub(r"\1\2", text), strict=False)
    except ValueError:
        return None


def _address(host: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
