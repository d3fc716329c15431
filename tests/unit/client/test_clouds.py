"""Clouds of clouds.yaml as variables."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from factstore.client import UnusableSettings, connect
from factstore.client.clouds import with_cloud
from tests.unit.client.stub import FakeClock, Service, answer, fact

PASSWORD = {
    "auth": {"auth_url": "http://keystone/v3", "username": "demo", "project_name": "p"},
    "region_name": "one",
    "interface": "internal",
    "cacert": "~/ca.pem",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, which is the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(file: Path, **clouds: Any) -> dict[str, str]:
    """Write clouds and return the variables that name their file and the cloud ``lab``."""
    file.write_text(json.dumps({"clouds": clouds}))
    return {"OS_CLIENT_CONFIG_FILE": str(file), "OS_CLOUD": "lab"}


def test_a_cloud_is_the_same_as_its_variables(home: Path) -> None:
    found = with_cloud(write(home / "c.yaml", lab=PASSWORD))
    assert {
        "OS_AUTH_TYPE": "password",
        "OS_AUTH_URL": "http://keystone/v3",
        "OS_USERNAME": "demo",
        "OS_PROJECT_NAME": "p",
        "OS_REGION_NAME": "one",
        "OS_INTERFACE": "internal",
        "OS_CACERT": str(home / "ca.pem"),
    }.items() <= found.items()
    assert "OS_INSECURE" not in found
    assert "OS_CLOUD" not in found


def test_secrets_can_be_in_a_file_of_their_own(home: Path) -> None:
    write(home / "s.yaml", lab={"auth": {"password": "s3cret"}})
    known = write(home / "c.yaml", lab=PASSWORD)
    found = with_cloud({**known, "OS_CLIENT_SECURE_FILE": str(home / "s.yaml")})
    assert (found["OS_USERNAME"], found["OS_PASSWORD"]) == ("demo", "s3cret")


def test_the_argument_precedes_variables_and_those_precede_the_file(home: Path) -> None:
    variables = write(home / "c.yaml", lab=PASSWORD, other={**PASSWORD, "region_name": "two"})
    variables |= {"OS_USERNAME": "alice", "OS_INTERFACE": "public"}
    found = with_cloud(variables, "other")
    assert (found["OS_REGION_NAME"], found["OS_PROJECT_NAME"]) == ("two", "p")
    assert (found["OS_USERNAME"], found["OS_INTERFACE"]) == ("alice", "public")


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        ({"verify": False}, "OS_INSECURE", "true"),
        ({"insecure": True}, "OS_INSECURE", "true"),
        ({"cert": "c.pem", "key": "k.pem"}, "OS_KEY", "k.pem"),
        ({"interface": ["internal", "public"]}, "OS_INTERFACE", "internal,public"),
        ({"contextualization_interface": "admin"}, "OS_INTERFACE", "admin"),
        (
            {"contextualization_endpoint_override": "http://here"},
            "OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE",
            "http://here",
        ),
        (
            {"contextualization_service_type": "x:facts"},
            "OS_CONTEXTUALIZATION_SERVICE_TYPE",
            "x:facts",
        ),
        ({"auth_type": "v3applicationcredential"}, "OS_AUTH_TYPE", "v3applicationcredential"),
        ({"regions": ["one", "two"], "region_name": None}, "OS_REGION_NAME", "one"),
    ],
)
@pytest.mark.filterwarnings("ignore:You are specifying a cacert")
def test_options_of_a_cloud_have_variables(
    home: Path, more: dict[str, Any], name: str, value: str
) -> None:
    assert with_cloud(write(home / "c.yaml", lab={**PASSWORD, **more}))[name] == value


def test_a_client_connects_to_a_cloud(home: Path, service: Service, clock: FakeClock) -> None:
    grant = {"endpoint": service.url, "username": "g1", "password": "s3cret"}
    variables = write(home / "c.yaml", lab={"auth_type": "http_basic", "auth": grant})
    service.will(answer(200, fact("a", 1)), answer(200, fact("a", 1)))
    assert connect(variables, clock=clock).stack("s").get("a").value == 1
    del variables["OS_CLOUD"]
    assert connect(variables, cloud="lab", clock=clock).stack("s").get("a").value == 1
    assert all(call.headers["Authorization"].startswith("Basic ") for call in service.calls)


def test_variables_alone_can_be_named(home: Path) -> None:
    assert with_cloud({"OS_CLOUD": "envvars", "OS_TOKEN": "t"})["OS_TOKEN"] == "t"


def test_a_cloud_that_cannot_be_used_is_explained(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnusableSettings, match=r"No clouds\.yaml was found for the cloud 'lab'"):
        connect({"OS_CLOUD": "lab"})
    known = write(home / "c.yaml", other=PASSWORD)
    with pytest.raises(UnusableSettings, match=r"c\.yaml has no cloud 'lab'. Its clouds are other"):
        connect(known)
    with pytest.raises(UnusableSettings, match=r"OS_CLIENT_CONFIG_FILE names .*not a file"):
        connect({**known, "OS_CLIENT_CONFIG_FILE": str(home / "none.yaml")})
    regions = write(home / "c.yaml", lab={**PASSWORD, "regions": ["one"]})
    with pytest.raises(UnusableSettings, match=r"'lab'.*three"):
        connect({**regions, "OS_REGION_NAME": "three"})
    for broken, reason in (
        (b"clouds:\n  lab: [", "is not YAML: line 2, column 9: "),
        (b"clouds:\n\tlab: 1", "is not YAML: line 2, column 1: "),
        (b"clouds: {lab: {auth: {username: '\xff'}}}", "is not text in UTF-8"),
        (b"clouds: 1", "has another form"),
        (b"clouds:", "has another form"),
        (b"- a", "has another form"),
        (b"clouds: {lab: 1}", "has another form"),
        (b"clouds: {lab: {auth: [1]}}", "auth of the cloud 'lab' is not a mapping"),
        (b"", "has no cloud 'lab'. Its clouds are none"),
    ):
        (home / "c.yaml").write_bytes(broken)
        with pytest.raises(UnusableSettings, match=rf"c\.yaml:? {reason}"):
            connect(regions)
        (home / "s.yaml").write_bytes(broken)
        write(home / "c.yaml", lab=PASSWORD)
        if broken:
            with pytest.raises(UnusableSettings, match=rf"s\.yaml:? {reason}"):
                connect({**regions, "OS_CLIENT_SECURE_FILE": str(home / "s.yaml")})
    with pytest.raises(TypeError, match="not both"):
        connect("http://here", cloud="lab")
    monkeypatch.setitem(sys.modules, "openstack", None)
    with pytest.raises(UnusableSettings, match=r"pip install 'openstack-factstore\[cloud\]'"):
        connect(known)
