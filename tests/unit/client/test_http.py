"""Connections: TLS, proxies, IPv6, and connections that are kept open."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import trustme

from factstore.client import (
    CertificateError,
    Client,
    Stack,
    Unauthorized,
    Unavailable,
    UnusableSettings,
    connect,
)
from factstore.client.endpoint import FixedEndpoint
from factstore.client.http.connections import Connection
from factstore.client.http.origin import Origin
from factstore.client.http.proxies import BadProxy, Proxies
from factstore.client.http.session import HttpSession
from factstore.client.http.trust import BUNDLE_VARIABLES
from tests.unit.client.network import connect_proxy, tls_in_front_of
from tests.unit.client.stub import FakeClock, Service, answer, fact, refusal

OK = answer(200, fact("a", 1), {"X-Openstack-Request-Id": "req-1"})
GRANT = ("g1", "s3cret")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*BUNDLE_VARIABLES, "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def stack_with(url: str, environ: dict[str, str], clock: FakeClock, **options: Any) -> Stack:
    """Return a stack that is reached with a grant in the network that variables describe."""
    http = HttpSession.from_environ(environ)
    options = {"retry_for": 0, **options}
    return Client(FixedEndpoint(url, GRANT), http=http, clock=clock, **options).stack("slurm")


# Certificates


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private CA."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """A file with the CA."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def tls_context(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


@pytest.fixture
def tls_port(authority: trustme.CA, service: Service) -> Iterator[int]:
    """The port of the service with TLS."""
    port = int(service.url.rpartition(":")[2])
    with tls_in_front_of(port, tls_context(authority, "127.0.0.1", "factstore.invalid")) as found:
        yield found


@pytest.mark.parametrize("variable", BUNDLE_VARIABLES)
def test_the_cas_of_each_variable_are_trusted(
    service: Service, clock: FakeClock, tls_port: int, ca_file: str, variable: str
) -> None:
    service.will(OK)
    url = f"https://127.0.0.1:{tls_port}"
    assert stack_with(url, {variable: ca_file}, clock).get("a").value == 1


def test_the_systems_cas_are_trusted_without_a_variable(
    clock: FakeClock, service: Service, tls_port: int, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_with(f"https://127.0.0.1:{tls_port}", {}, clock)
    with pytest.raises(CertificateError, match=r"unable to get local issuer certificate\. Its CA"):
        stack.get("a")
    monkeypatch.setattr("factstore.client.http.trust.SYSTEM_BUNDLES", (ca_file,))
    monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent")
    service.will(OK)
    monkeypatch.setattr(
        "ssl.get_default_verify_paths", lambda: ssl.DefaultVerifyPaths(*["/nonexistent"] * 6)
    )
    assert stack.get("a").value == 1


def test_a_file_of_cas_is_read_again_when_it_has_changed(
    service: Service, clock: FakeClock, tls_port: int, authority: trustme.CA, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    stack = stack_with(f"https://127.0.0.1:{tls_port}", {"OS_CACERT": str(file)}, clock)
    with pytest.raises(CertificateError, match=r"OS_CACERT.*cacert"):
        stack.get("a")
    file.unlink()
    with pytest.raises(CertificateError, match=rf"{file} \(OS_CACERT\) cannot be read: No such"):
        stack.get("a")
    authority.cert_pem.write_to_path(file)
    service.will(OK)
    assert stack.get("a").value == 1


@pytest.mark.parametrize(
    ("names", "options", "cause"),
    [
        (["elsewhere.invalid"], {}, "mismatch.* Use a name of the certificate in the URL"),
        (
            ["127.0.0.1"],
            {"not_after": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)},
            "has expired.* UTC by the clock of this machine",
        ),
    ],
)
def test_an_error_of_a_certificate_has_its_cause_and_remedy(
    clock: FakeClock,
    authority: trustme.CA,
    ca_file: str,
    names: list[str],
    options: dict[str, Any],
    cause: str,
) -> None:
    with tls_in_front_of(0, tls_context(authority, *names, **options)) as port:
        stack = stack_with(f"https://127.0.0.1:{port}", {"OS_CACERT": ca_file}, clock)
        with pytest.raises(CertificateError, match=cause):
            stack.get("a")


def test_the_wrong_scheme_is_explained(service: Service, clock: FakeClock, ca_file: str) -> None:
    stack = stack_with(f"https{service.url[4:]}", {"OS_CACERT": ca_file}, clock)
    with pytest.raises(CertificateError, match="does not use TLS on this port"):
        stack.get("a")


def test_connect_refuses_files_of_cas_that_cannot_be_used(tmp_path: Path) -> None:
    environ = {"OS_CACERT": str(tmp_path), "OS_AUTH_TYPE": "none"}
    with pytest.raises(UnusableSettings, match="directory without hashed certificates"):
        connect({**environ, "OS_ENDPOINT": "https://factstore.invalid"})
    connect({**environ, "OS_ENDPOINT": "http://factstore.invalid"})  # they are not needed


# Proxies


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({"http_proxy": "http://p:1"}, "http://h", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://h", None),
        ({"HTTP_PROXY": "p:1"}, "http://h", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1", "http_proxy": ""}, "http://h", None),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://h", None),
        ({"all_proxy": "http://[fd00::1]:1"}, "https://h", "http://[fd00::1]:1"),
        ({"https_proxy": "http://p", "no_proxy": "*"}, "https://h", None),
        ({"https_proxy": "http://p", "no_proxy": "a, .b.c d"}, "https://x.B.c.", None),
        ({"https_proxy": "http://p", "no_proxy": "a, .b.c d"}, "https://xb.c", "http://p:80"),
        ({"https_proxy": "http://p", "NO_PROXY": "*.b"}, "https://x.b", None),
        ({"https_proxy": "http://p", "no_proxy": "b:444"}, "https://b", "http://p:80"),
        ({"https_proxy": "http://p", "no_proxy": "b:443"}, "https://b", None),
        ({"https_proxy": "http://p", "no_proxy": "10.0.0.0/8"}, "https://10.9.8.7", None),
        ({"https_proxy": "http://p", "no_proxy": "10.0.0.0/8"}, "https://11.0.0.1", "http://p:80"),
        ({"https_proxy": "http://p", "no_proxy": "fd00::/8"}, "https://[fd00::5]:1", None),
        ({"https_proxy": "http://p", "no_proxy": "[fd00::5]:1"}, "https://[fd00::5]:1", None),
        ({"https_proxy": "http://p", "no_proxy": "10.0.0.1"}, "https://10.0.0.1:1", None),
        ({"all_proxy": "http://p"}, "http://169.254.169.254", None),
        ({"all_proxy": "http://p"}, "http://[fe80::a9fe:a9fe%25eth0]", None),
        ({"all_proxy": "http://p"}, "http://127.3.2.1", None),
        ({"all_proxy": "http://p"}, "http://localhost:1", None),
        ({"all_proxy": "http://p"}, "http://[::ffff:127.0.0.1]", None),
    ],
)
def test_proxies_are_found_as_other_tools_find_them(
    environ: dict[str, str], url: str, expected: str | None
) -> None:
    found = Proxies.from_environ(environ).find(*Origin.parse(url))
    assert (found.address if found else None) == expected


@pytest.mark.parametrize(
    "url", ["socks5://u:s3cret@p:1", "https://u:s3cret@p", "http://:1", "http://p:x"]
)
def test_a_proxy_that_is_not_supported_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadProxy, match=r"The proxy in https_proxy cannot be used") as raised:
        Proxies.from_environ({"https_proxy": url}).find("https", "h", 443)
    assert "s3cret" not in str(raised.value)


def test_tls_passes_a_tunnel_and_only_the_proxy_gets_its_password(
    service: Service, clock: FakeClock, tls_port: int, ca_file: str
) -> None:
    service.will(OK)
    with connect_proxy(tls_port) as proxy:
        environ = {"OS_CACERT": ca_file, "https_proxy": proxy.url.replace("//", "//u:p%40ss@")}
        assert stack_with("https://factstore.invalid", environ, clock).get("a").value == 1
    (request,) = proxy.requests
    assert request.startswith("CONNECT factstore.invalid:443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic dTpwQHNz\r\n" in request
    assert "\nAuthorization" not in request
    headers = service.calls[0].headers
    assert "Proxy-Authorization" not in headers
    assert headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("407 Proxy Authentication Required", "407.* Write the user and password of the proxy"),
        ("502 Bad Gateway", "502 Bad Gateway.* add its host to no_proxy"),
    ],
)
def test_a_tunnel_that_is_refused_names_the_proxy(
    clock: FakeClock, ca_file: str, status: str, text: str
) -> None:
    with connect_proxy(0, status) as proxy:
        environ = {"OS_CACERT": ca_file, "https_proxy": proxy.url}
        with pytest.raises(
            Unavailable, match=f"the proxy {proxy.url} .https_proxy. answered {text}"
        ):
            stack_with("https://factstore.invalid", environ, clock).get("a")


def test_a_credential_is_shown_only_to_a_proxy_that_reaches_the_service(
    service: Service, clock: FakeClock
) -> None:
    stack = stack_with("http://factstore.invalid:8796", {"http_proxy": service.url}, clock)
    html = {"Content-Type": "text/html"}
    service.will(*[answer(status, b"<html>no route", html) for status in (503, 404, 407, 200)])
    for status in (503, 404, 407, 200):
        with pytest.raises(Unavailable, match=rf"not reached: the proxy {service.url} .* {status}"):
            stack.put("a", 1)
    assert not any("Authorization" in call.headers for call in service.calls)
    service.will(OK, OK, OK, answer(503, b"<html>no route", html))
    assert stack.put("a", 1).value == stack.put("a", 1).value == 1
    assert [call.headers["Host"] for call in service.calls[4:]] == ["factstore.invalid:8796"] * 3
    assert ["Authorization" in call.headers for call in service.calls[4:]] == [False, True, True]
    with pytest.raises(Unavailable, match="the proxy"):
        stack.get("a")


def test_a_proxy_that_cannot_be_reached_is_named(clock: FakeClock) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(
            Unavailable, match=rf"to the proxy {url} \(http_proxy\): Connection ref"
        ):
            stack_with("http://factstore.invalid", {"http_proxy": url}, clock).get("a")


# Servers


@pytest.mark.parametrize(
    ("url", "origin", "host"),
    [
        ("http://h/v1", ("http", "h", 80), "h"),
        ("https://H:443", ("https", "h", 443), "h"),
        ("http://id:secret@h:8796", ("http", "h", 8796), "h:8796"),
        ("http://[2001:DB8::5]:8796", ("http", "2001:db8::5", 8796), "[2001:db8::5]:8796"),
        ("http://[fe80::1%25Eth0]", ("http", "fe80::1%Eth0", 80), "[fe80::1]"),
        ("http://[fe80::1%Eth0]", ("http", "fe80::1%Eth0", 80), "[fe80::1]"),
        (
            "http://b\u00fccher.invalid",
            ("http", "xn--bcher-kva.invalid", 80),
            "xn--bcher-kva.invalid",
        ),
    ],
)
def test_the_server_in_a_url(url: str, origin: tuple[str, str, int], host: str) -> None:
    found = Origin.parse(url)
    assert found == origin
    assert found.host_header == host


def test_a_server_with_an_ipv6_address_is_reached(clock: FakeClock) -> None:
    with Service("::1") as service:
        service.will(OK)
        assert stack_with(service.url, {}, clock).get("a").value == 1
    assert service.calls[0].headers["Host"] == service.url[len("http://") :]


def keeping(document: object, status: int = 200) -> Any:
    """Return an answer after which the connection stays open."""
    step = answer(status, document, {"Connection": "keep-alive"})

    def keep(handler: BaseHTTPRequestHandler) -> None:
        step(handler)
        handler.close_connection = False

    return keep


def test_a_request_is_sent_in_one_piece() -> None:
    opened = Mock(spec=socket.socket)
    connection = Connection(opened, Origin("http", "example.org", 80), None)
    connection.request("PUT", "/v1/stacks/slurm/facts/a", b'{"value":1}', {"Accept": "*/*"})
    ((sent,), _), *others = opened.sendall.call_args_list
    assert not others
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /v1/stacks/slurm/facts/a HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 11" in head
    assert body == b'{"value":1}'


def test_a_connection_is_kept_and_replaced_when_the_server_has_closed_it(
    service: Service, clock: FakeClock
) -> None:
    ports = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        keeping(fact("a", 1))(handler)

    def note_and_close(handler: BaseHTTPRequestHandler) -> None:
        note(handler)
        handler.close_connection = True

    service.will(note, note_and_close, note)
    stack = stack_with(service.url, {}, clock)
    for _ in range(3):
        assert stack.put("a", 1).value == 1
    assert ports[0] == ports[1] != ports[2]


def test_a_connection_is_replaced_before_the_service_closes_it(
    service: Service, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, ports = 1000.0, []
    monkeypatch.setattr("factstore.client.http.session.time", Mock(monotonic=lambda: now))

    def note(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        keeping(fact("a", 1))(handler)

    stack = stack_with(service.url, {}, clock)
    for idle in (0, 59, 59, 61, 74, 1):
        now += idle
        service.will(note)
        assert stack.get("a").value == 1
    first, _, _, second, third, _ = ports
    assert ports == [first, first, first, second, third, third]
    assert len({first, second, third}) == 3


def test_a_connection_is_kept_after_a_credential_was_rejected_and_renewed(
    service: Service, clock: FakeClock
) -> None:
    class Renewing(FixedEndpoint):
        def renew(self) -> bool:
            return True

    service.will(keeping({}, 401), keeping(fact("a", 1)), keeping({}, 401), keeping({}, 401), OK)
    http = HttpSession.from_environ({})
    stack = Client(Renewing(service.url), http=http, clock=clock).stack("slurm")
    assert stack.get("a").value == 1
    with pytest.raises(Unauthorized):
        stack.get("a")
    assert stack.get("a").value == 1


def test_a_redirect_is_explained_and_not_followed(service: Service, clock: FakeClock) -> None:
    service.will(answer(301, headers={"Location": "https://u:s3cret@elsewhere.invalid/v1?x=1"}))
    with pytest.raises(
        Exception, match=r"redirects to 'https://elsewhere.invalid/v1' with"
    ) as raised:
        stack_with(service.url, {}, clock).get("a")
    assert "s3cret" not in str(raised.value)


def test_a_grant_in_the_url_is_sent_and_not_shown(service: Service, clock: FakeClock) -> None:
    service.will(refusal(401, "unauthorized"))
    client = connect(service.url.replace("//", "//g1:s%33cret@"), clock=clock)
    assert client.endpoint == service.url
    with pytest.raises(Exception, match="about unauthorized"):
        client.stack("slurm").get("a")
    assert service.calls[0].headers["Authorization"] == "Basic ZzE6czNjcmV0"
    with pytest.raises(UnusableSettings, match="two credentials"):
        connect(
            {
                "OS_AUTH_TYPE": "http_basic",
                "OS_ENDPOINT": "http://g1:s3cret@h",
                "OS_USERNAME": "u",
                "OS_PASSWORD": "p",
            }
        )
