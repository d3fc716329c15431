"""Clients from the environment."""

from __future__ import annotations

import pytest
from keystoneauth1 import exceptions

from factstore.client import connect
from tests.unit.client.stub import FakeClock, Service, answer, fact

OK = answer(200, fact("a", 1))


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
    with pytest.raises(exceptions.MissingRequiredOptions, match=r"endpoint|auth_url"):
        connect(environ)


def test_a_password_is_exchanged_for_a_token_and_the_catalogue(
    service: Service, clock: FakeClock
) -> None:
    endpoint = {"interface": "internal", "region_id": "RegionOne", "region": "RegionOne"}
    catalogue = [
        {
            "type": "contextualization",
            "name": "factstore",
            "id": "1",
            "endpoints": [{**endpoint, "url": service.url, "id": "2"}],
        }
    ]
    token = {
        "methods": ["password"],
        "expires_at": "2999-01-01T00:00:00.000000Z",
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "user": {"id": "u", "name": "demo", "domain": {"id": "default", "name": "Default"}},
        "project": {"id": "p", "name": "demo", "domain": {"id": "default", "name": "Default"}},
        "roles": [],
        "catalog": catalogue,
    }
    version = {"id": "v3.14", "status": "stable"}
    version["links"] = [{"rel": "self", "href": f"{service.url}/v3"}]  # type: ignore[assignment]
    service.will(
        answer(300, {"versions": {"values": [version]}}),
        answer(201, {"token": token}, {"X-Subject-Token": "t0ken"}),
        OK,
    )
    environ = {
        "OS_AUTH_URL": service.url,
        "OS_USERNAME": "demo",
        "OS_PASSWORD": "s3cret",
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_INTERFACE": "internal",
        "OS_REGION_NAME": "RegionOne",
    }
    client = connect(environ, clock=clock)
    assert client.stack("slurm").get("a").value == 1
    assert service.calls[-1].headers["X-Auth-Token"] == "t0ken"
    assert client.endpoint == service.url
