"""Failures that only another setting or certificate ends: they are not repeated."""

from __future__ import annotations

import datetime
import logging
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trustme

from factstore.client import CertificateError, Client, Stack, Unavailable, UnusableSettings, connect
from factstore.client.endpoint import FixedEndpoint
from factstore.client.http.session import HttpSession
from factstore.client.http.trust import BUNDLE_VARIABLES
from tests.cases import cases
from tests.commands import factstore, one_line
from tests.unit.client.network import connect_proxy, tls_in_front_of
from tests.unit.client.stub import FakeClock, Service, answer, stack_delete, stream
from tests.unit.client.test_connect import login
from tests.unit.client.test_mirror import TAG, WHOLE

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
HTML = {"Content-Type": "text/html"}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*BUNDLE_VARIABLES, "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private CA."""
    return trustme.CA()


def tls_context(
    authority: trustme.CA, name: str = "127.0.0.1", **options: object
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(context)  # type: ignore[arg-type]
    return context


def stack_with(url: str, environ: dict[str, str], clock: FakeClock) -> Stack:
    """Return a stack that is reached in the network that variables describe."""
    http = HttpSession.from_environ(environ)
    return Client(FixedEndpoint(url), http=http, clock=clock).stack("slurm")


def bad_files(folder: Path) -> dict[str, str]:
    """Return files that contain no CA, and what an error says about each."""
    (folder / "text").write_text("no certificate\n")
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    return {
        str(folder / "missing"): "cannot be read: No such file or directory",
        str(folder / "text"): "contains no CA certificate as PEM",
        str(folder / "empty"): "is empty",
        str(folder / "folder"): "is a directory without hashed certificates",
    }


def test_a_request_that_cannot_succeed_is_sent_once_and_fails_with_one_line(
    clock: FakeClock, authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trusting = {"OS_CACERT": str(tmp_path / "ca.pem")}

    def check(url: str, environ: dict[str, str], text: str) -> None:
        for write in (False, True):
            stack = stack_with(url, environ, clock)
            with pytest.raises(Unavailable) as raised:
                stack.put("a", 1) if write else stack.get("a")
            assert raised.value.is_permanent, raised.value
            assert text in str(raised.value)
            assert "\n" not in str(raised.value)
        assert (clock.pauses, caplog.messages) == ([], [])

    with cases() as case:
        served = tls_context(authority)
        with tls_in_front_of(0, served) as port:
            url = f"https://127.0.0.1:{port}"
            with case("an unknown CA"):
                check(url, {}, "(OS_CACERT)")
            for file, text in bad_files(tmp_path).items():
                with case(file):
                    check(url, {"OS_CACERT": file}, f"{file} (OS_CACERT) {text}")
        with tls_in_front_of(0, tls_context(authority, not_after=PAST)) as port, case("expired"):
            check(f"https://127.0.0.1:{port}", trusting, "has expired")
        with tls_in_front_of(0, tls_context(authority, "a.invalid")) as port, case("wrong name"):
            check(f"https://127.0.0.1:{port}", trusting, "Use a name of the certificate")
        for status in ("407 Proxy Authentication Required", "403 Forbidden"):
            with connect_proxy(0, status) as proxy, case(f"tunnel {status}"):
                environ = {**trusting, "https_proxy": proxy.url}
                check("https://factstore.invalid", environ, f"answered {status}")
            with Service() as proxied, case(f"proxy {status}"):
                proxied.will(*[answer(int(status[:3]), b"<html>", HTML)] * 2)
                check("http://factstore.invalid", {"http_proxy": proxied.url}, f"answered {status}")
        with case("a proxy of another kind"):
            check("http://factstore.invalid", {"http_proxy": "socks5://p"}, "only http:// is supp")
        for url in (
            "factstore:8796",
            "//factstore",
            "ftp://factstore",
            "http://",
            "http://h:99999",
        ):
            with case(url):
                check(url, {}, "is not the URL of a service")
        for host in ("a..b", ".a", f"{'a' * 64}.invalid"):
            with case(host):
                check(f"http://{host}:1", {}, f"{host!r} is not a name in DNS")


def test_a_failure_of_a_proxy_that_can_pass_is_repeated(
    service: Service, clock: FakeClock, authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    service.will(*[answer(502, b"<html>", HTML)] * 2, answer(503, b"<html>", HTML))
    service.will(answer(429, b"<html>", HTML), answer(200, {"members": []}))
    stack = stack_with("http://factstore.invalid", {"http_proxy": service.url}, clock)
    assert list(stack.members()) == []
    with connect_proxy(0, "502 Bad Gateway") as proxy:
        environ = {"OS_CACERT": str(tmp_path / "ca.pem"), "https_proxy": proxy.url}
        with pytest.raises(Unavailable, match=r"502 Bad Gateway.* Tried"):
            stack_with("https://factstore.invalid", environ, clock).get("a")


class _EventfulClock(FakeClock):
    """A clock in whose sleeps something happens, one action in each."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[Callable[[], object]] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.actions.pop(0)()


def test_a_watch_and_a_mirror_fail_at_first_and_survive_a_certificate_that_ends_later(
    service: Service, authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    right, other, file = authority.cert_pem, trustme.CA().cert_pem, tmp_path / "ca.pem"
    clock = _EventfulClock()
    port = int(service.url.rpartition(":")[2])

    def breaking(step: Callable[[BaseHTTPRequestHandler], None]) -> object:
        def broken(handler: BaseHTTPRequestHandler) -> None:
            other.write_to_path(file)
            step(handler)

        return broken

    with tls_in_front_of(port, tls_context(authority)) as tls_port:
        url = f"https://127.0.0.1:{tls_port}"
        other.write_to_path(file)
        stack = stack_with(url, {"OS_CACERT": str(file)}, clock)
        with pytest.raises(CertificateError):
            next(stack.watch("e.1"))
        mirror = stack.mirror()
        with pytest.raises(CertificateError):
            mirror.follow()
        assert (clock.pauses, caplog.messages) == ([], [])
        right.write_to_path(file)
        watch = stack.watch("e.1")
        clock.actions += [lambda: None, lambda: right.write_to_path(file)]
        service.will(breaking(stream()), stream(stack_delete(2)))  # type: ignore[arg-type]
        assert [item.cursor for item in watch] == ["e.2"]
        service.will(breaking(answer(200, WHOLE, TAG)))  # type: ignore[arg-type]
        mirror.update()
        clock.actions.append(mirror.close)
        mirror.follow()
    assert mirror.context is not None
    assert sum("certificate verify failed" in each for each in caplog.messages) == 2


def test_keystone_that_cannot_be_reached_is_asked_once(
    clock: FakeClock, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trusting = {"OS_CACERT": str(tmp_path / "ca.pem")}

    def check(url: str, environ: dict[str, str], text: str) -> None:
        service = {"OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE": "http://factstore.invalid"}
        stack = connect({**login(url), **service, **environ}, clock=clock).stack("slurm")
        with pytest.raises(Unavailable) as raised:
            stack.get("a")
        assert raised.value.is_permanent, raised.value
        assert text in str(raised.value)
        assert clock.pauses == []

    with cases() as case:
        with tls_in_front_of(0, tls_context(authority)) as port, case("an unknown CA"):
            monkeypatch.setattr("factstore.client.http.trust.SYSTEM_BUNDLES", ())
            check(
                f"https://127.0.0.1:{port}/v3", {}, f"service https://127.0.0.1:{port}: certificate"
            )
            other = tmp_path / "other.pem"
            trustme.CA().cert_pem.write_to_path(other)
            check(f"https://127.0.0.1:{port}", {"OS_CACERT": str(other)}, f"{other} (OS_CACERT)")
        with tls_in_front_of(0, tls_context(authority, not_after=PAST)) as port, case("expired"):
            check(f"https://127.0.0.1:{port}/v3", trusting, "has expired")
        with tls_in_front_of(0, tls_context(authority, "a.invalid")) as port, case("wrong name"):
            check(f"https://127.0.0.1:{port}/v3", trusting, "Use a name of the certificate")
        with case("a proxy that refuses"), connect_proxy(0, "407 Authentication Required") as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            check("https://keystone.invalid/v3", trusting, "407")
        with case("a proxy of another kind"):
            monkeypatch.setenv("https_proxy", "socks5://p")
            check("https://keystone.invalid/v3", trusting, "The proxy in https_proxy")
            monkeypatch.delenv("https_proxy")
        for url in ("http://a..b/v3", f"http://{'a' * 64}.invalid/v3"):
            with case(url):
                check(url, {}, "OS_AUTH_URL")
        for url in ("ftp://keystone/v3", "keystone:5000", "http:///v3"):
            with case(url), pytest.raises(UnusableSettings, match="OS_AUTH_URL"):
                connect(login(url))


def test_factstore_token_fails_with_one_line(tmp_path: Path) -> None:
    file = tmp_path / "missing"
    with cases() as case:
        for environ, text in (
            (
                {"OS_CACERT": str(file)},
                f"The CA file {file} (OS_CACERT) cannot be read: No such file",
            ),
            ({"OS_AUTH_URL": "http://a..b/v3"}, "Correct auth_url (OS_AUTH_URL)"),
            ({"OS_AUTH_URL": ""}, "an option is not set: auth_url (OS_AUTH_URL)"),
        ):
            with case(text):
                known = {**login("https://127.0.0.1:1/v3"), **environ}
                line = one_line(factstore("token", **known), 1)
                assert line.startswith("factstore token: no token: ")
                assert text in line
                assert ".;" not in line
