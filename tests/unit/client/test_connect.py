"""Clients from the environment."""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from factstore.client import MissingVariables, Unavailable, UnusableSettings, connect
from tests.unit.client.network import connect_proxy, tls_in_front_of
from tests.unit.client.stub import FakeClock, Service, answer, fact, refusal

OK = answer(200, fact("a", 1))
Step = Callable[[BaseHTTPRequestHandler], None]


def test_auth_type_none_needs_only_an_endpoint(service: Service, clock: FakeClock) -> None:
    service.will(OK)
    environ = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": service.url, "OS_REGION_NAME": ""}
    client = connect(environ, clock=clock)
    assert client.stack("slurm").get("a").value == 1
    assert client.endpoint == service.url


def test_the_process_environment_is_the_default(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.will(OK)
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", service.url)
    assert connect().stack("slurm").get("a").value == 1


def test_the_endpoint_can_be_overridden(service: Service) -> None:
    service.will(OK)
    environ = {"OS_AUTH_TYPE": "none", "OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE": service.url}
    client = connect(environ)
    assert client.stack("slurm").get("a").value == 1
    assert client.endpoint == service.url


@pytest.mark.parametrize("environ", [{"OS_AUTH_TYPE": "none"}, {"OS_USERNAME": "demo"}])
def test_a_missing_variable_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(MissingVariables, match=r"endpoint|auth_url"):
        connect(environ)


def test_a_missing_variable_is_an_error_with_the_remedy() -> None:
    with pytest.raises(MissingVariables) as raised:
        connect({})
    text = str(raised.value)
    assert "export OS_AUTH_TYPE=none OS_ENDPOINT=http://127.0.0.1:8796" in text
    assert "export OS_CLOUD" in text


def test_an_unknown_plugin_of_keystoneauth_is_reported_with_the_option() -> None:
    environ = {"OS_AUTH_TYPE": "v9password", "OS_AUTH_URL": "http://127.0.0.1:1/v3"}
    with pytest.raises(
        UnusableSettings, match=r"no plugin 'v9password'. Set auth_type \(OS_AUTH_TYPE\)"
    ):
        connect(environ)


def test_without_keystoneauth_what_is_missing_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("factstore.client.keystone", raising=False)
    monkeypatch.setitem(sys.modules, "factstore.client.keystone", None)
    with pytest.raises(MissingVariables, match="OS_AUTH_URL"):
        connect({})
    environ = {"OS_AUTH_URL": "http://127.0.0.1:1/v3"}
    with pytest.raises(
        UnusableSettings, match=r"^Authentication with Keystone needs .*keystoneauth1"
    ):
        connect(environ)
    with pytest.raises(UnusableSettings, match=r"^OS_AUTH_TYPE v3token needs .*keystoneauth1"):
        connect({**environ, "OS_AUTH_TYPE": "v3token"})


def test_a_url_needs_no_variables_and_takes_options(
    service: Service, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_AUTH_TYPE", "password")  # and no other variables of a login
    service.will(refusal(503, "store_unavailable"), OK, OK)
    client = connect(service.url, clock=clock, retry_for=0)
    with pytest.raises(Unavailable):
        client.stack("slurm").get("a")
    assert client.stack("slurm").get("a").value == 1
    assert connect(url=service.url).stack("slurm").get("a").value == 1


def test_wrong_arguments_are_explained() -> None:
    call: Any = connect
    for arguments, options, text in (
        (["127.0.0.1:8796"], {}, "is not a URL. Use http://HOST:PORT"),
        (["http://127.0.0.1:87960"], {}, "is not a URL. Use http://HOST:PORT"),
        (["http://[::1"], {}, "is not a URL. Use http://HOST:PORT"),
        (["http://127.0.0.1:8796/v1/stacks/slurm"], {}, "Leave out everything from /v1 on"),
        ([8796], {}, "needs the URL of a service as text, not 8796"),
        ([], {"endpoint": "http://127.0.0.1:8796"}, 'connect("http://127.0.0.1:8796")'),
        ([], {"auth_url": "http://127.0.0.1:5000"}, "set the OS_* variables"),
    ):
        with pytest.raises((TypeError, ValueError), match=re.escape(text)):
            call(*arguments, **options)


def keystone(
    service: Service, *, expires_at: str, secret: str = "t0ken", kind: str = "contextualization"
) -> list[Step]:
    """Return the answers of a Keystone that has the service in its catalogue, to one login."""
    endpoint = {"interface": "internal", "region_id": "RegionOne", "region": "RegionOne"}
    catalogue = [
        {
            "type": kind,
            "name": "factstore",
            "id": "1",
            "endpoints": [{**endpoint, "url": service.url, "id": "2"}],
        }
    ]
    token = {
        "methods": ["password"],
        "expires_at": expires_at,
        "issued_at": "2020-01-01T00:00:00.000000Z",
        "user": {"id": "u", "name": "demo", "domain": {"id": "default", "name": "Default"}},
        "project": {"id": "p", "name": "demo", "domain": {"id": "default", "name": "Default"}},
        "roles": [],
        "catalog": catalogue,
    }
    version = {"id": "v3.14", "status": "stable"}
    version["links"] = [{"rel": "self", "href": f"{service.url}/v3"}]  # type: ignore[assignment]
    return [
        answer(300, {"versions": {"values": [version]}}),
        answer(201, {"token": token}, {"X-Subject-Token": secret}),
    ]


def login(auth_url: str) -> dict[str, str]:
    """Return the variables of a person."""
    return {
        "OS_AUTH_URL": auth_url,
        "OS_USERNAME": "demo",
        "OS_PASSWORD": "s3cret",
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_INTERFACE": "internal",
        "OS_REGION_NAME": "RegionOne",
    }


def test_a_password_is_exchanged_for_a_token_and_the_catalogue(
    service: Service, clock: FakeClock
) -> None:
    service.will(*keystone(service, expires_at="2999-01-01T00:00:00.000000Z"), OK)
    client = connect(login(service.url), clock=clock)
    assert client.stack("slurm").get("a").value == 1
    assert service.calls[-1].headers["X-Auth-Token"] == "t0ken"
    assert client.endpoint == service.url


def test_writes_in_a_hook_state_a_cause_and_reads_do_not(
    service: Service, clock: FakeClock
) -> None:
    cursor, other = "0123456789abcdef.7", "0123456789abcdef.9"
    known = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": service.url, "FACTSTORE_CURSOR": cursor}
    stack = connect(known, clock=clock).stack("slurm")
    service.will(OK, OK, OK, OK)
    stack.get("a")
    stack.put("a", 1)
    stack.acting_on(other).put("a", 1)
    stack.acting_on(None).put("a", 1)
    sent = [call.headers.get("Factstore-Cause") for call in service.calls]
    assert sent == [None, cursor, other, None]


def test_the_catalogue_can_have_another_type(service: Service, clock: FakeClock) -> None:
    end = "2999-01-01T00:00:00.000000Z"
    service.will(*keystone(service, expires_at=end, kind="acme:facts"), OK)
    environ = {**login(service.url), "OS_CONTEXTUALIZATION_SERVICE_TYPE": "acme:facts"}
    assert connect(environ, clock=clock).stack("slurm").get("a").value == 1
    assert service.calls[-1].headers["OpenStack-API-Version"] == "contextualization 1.0"


def test_a_token_is_used_until_its_end_whatever_time_of_day_it_is(
    service: Service, clock: FakeClock
) -> None:
    hour = "2020-01-01T01:00:00.000000Z"  # it ended years ago by the clock of this machine
    service.will(*keystone(service, expires_at=hour), OK, OK)
    stack = connect(login(service.url), clock=clock).stack("slurm")
    assert stack.get("a").value == stack.get("a").value == 1
    clock.now += 3500
    service.will(*keystone(service, expires_at=hour, secret="s3cond")[1:], OK)
    service.will(refusal(401, "unauthorized"))
    service.will(*keystone(service, expires_at=hour, secret="th1rd")[1:], OK)
    assert stack.get("a").value == stack.get("a").value == 1
    tokens = [call.headers.get("X-Auth-Token") for call in service.calls]
    assert [each for each in tokens if each] == ["t0ken", "t0ken", "s3cond", "s3cond", "th1rd"]


def test_requests_for_tokens_trust_the_same_cas_and_pass_the_same_proxies(
    service: Service, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("keystone.invalid").configure_cert(context)
    port = int(service.url.rpartition(":")[2])
    service.will(*keystone(service, expires_at="2999-01-01T00:00:00.000000Z"), OK)
    with tls_in_front_of(port, context) as tls_port, connect_proxy(tls_port) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        environ = {**login("https://keystone.invalid/v3"), "OS_CACERT": str(tmp_path / "ca.pem")}
        assert connect(environ, clock=clock).stack("slurm").get("a").value == 1
    assert proxy.requests[0].startswith("CONNECT keystone.invalid:443 ")
    for url, text in (("socks5://p", "The proxy in https_proxy"), (proxy.url, "[Pp]roxy")):
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(Unavailable, match=f"The identity service failed: .*{text}"):
            connect(environ, clock=clock, retry_for=0).stack("slurm").get("a")


def test_a_password_in_netrc_is_not_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service.will(OK)
    netrc = tmp_path / "netrc"
    netrc.write_text("default login person password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert connect(service.url).stack("slurm").get("a").value == 1
    (call,) = service.calls
    assert "Authorization" not in call.headers
