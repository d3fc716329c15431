"""The service refuses to start open to the network or partly configured; its outer layers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest import mock
from wsgiref.types import WSGIApplication

import pytest
from requests.structures import CaseInsensitiveDict
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from factstore.api.app import create_app
from factstore.api.identity import ENVIRON_KEY
from factstore.api.services import Services
from factstore.cmd.processes.api import API_ARGV, Options, write_options
from factstore.cmd.processes.ports import free_port
from factstore.wsgi.auth.none import LoopbackOnly, NoAuth
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.deploy import PathDispatcher
from factstore.wsgi.middleware.request_id import RequestId
from tests.forked_child import ForkedChild
from tests.http import check_refusal


def start(tmp_path: Path, options: Options) -> subprocess.CompletedProcess[str]:
    """A service that ends by itself."""
    config = tmp_path / "factstore.conf"
    write_options(config, {"etcd": {"endpoints": "http://127.0.0.1:1"}, **options})
    return subprocess.run(
        API_ARGV,
        env={"OS_FACTSTORE_CONFIG_FILES": str(config), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_authentication_only_loopback_is_bound(tmp_path: Path, host: str) -> None:
    options = {
        "DEFAULT": {"auth_strategy": "none"},
        "api": {"host": host, "port": free_port()},
    }
    ended = start(tmp_path, options)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("factstore: auth_strategy = none serves loopback addresses only")
    assert host in ended.stderr


UNUSABLE: dict[str, tuple[Options, str]] = {
    "a type that argparse checks": ({"DEFAULT": {"debug": "maybe"}}, "[DEFAULT] debug: "),
    "no endpoint": ({"etcd": {"endpoints": ""}}, "[etcd] endpoints is empty"),
    "a quota of a project": ({"limits:p": {"facts": "many"}}, "[limits:p] facts: "),
    "a log in no directory": (
        {"DEFAULT": {"log_file": "DIR/missing/a.log"}},
        "DIR/missing/a.log: No ",
    ),
    "a log of nobody's": (
        {"DEFAULT": {"log_config_append": "DIR/a"}},
        "the log cannot be set up: ",
    ),
    "a facility of syslog": (
        {"DEFAULT": {"use_syslog": "true", "syslog_log_facility": "x"}},
        "the log cannot be set up: ",
    ),
    "rules that are no mapping": (
        {"oslo_policy": {"policy_file": "DIR/list.yaml"}},
        "[oslo_policy] ",
    ),
    "an option of a library": (
        {"healthcheck": {"detailed": "maybe"}},
        "Value for option detailed ",
    ),
    "a plugin of Keystone": (
        {"DEFAULT": {"auth_strategy": "keystone"}, "keystone_authtoken": {"auth_type": "x"}},
        "[keystone_authtoken] ",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_configuration_that_cannot_be_used_ends_the_service_with_a_sentence(
    case: str, tmp_path: Path
) -> None:
    options, reason = UNUSABLE[case]
    (tmp_path / "list.yaml").write_text("- a\n")
    config, output = tmp_path / "factstore.conf", tmp_path / "output"
    known: Options = {
        "api": {"port": free_port(), "workers": 2},
        "etcd": {"endpoints": "http://127.0.0.1:1"},
        "oslo_policy": {"policy_file": "none.yaml"},
    }
    known["DEFAULT"] = {"auth_strategy": "none"}
    for section, values in options.items():
        placed = {name: str(value).replace("DIR", str(tmp_path)) for name, value in values.items()}
        known[section] = {**known.get(section, {}), **placed}
    write_options(config, known)
    child = ForkedChild("the API")
    child.start([*API_ARGV, "--config-file", str(config)], log_path=output)
    try:
        assert child.wait(60) == 1
    finally:
        child.kill()
    printed = output.read_text()
    assert "Traceback" not in printed
    found = re.findall(r"[Tt]he configuration cannot be used: (.*)", printed)
    assert found, printed
    assert all(each.startswith(reason.replace("DIR", str(tmp_path))) for each in found), printed


def open_gate(app: WSGIApplication) -> WSGIApplication:
    """Return the layers in front of an application without authentication."""
    return LoopbackOnly(NoAuth(app))


def answer(address: str) -> tuple[int, CaseInsensitiveDict[str], Any, dict[str, Any]]:
    """Return the response to a caller at an address, and the request that the application saw."""
    seen: dict[str, Any] = {}
    told: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return [b"{}"]

    environ = {"REMOTE_ADDR": address, "openstack.request_id": "req-1", ENVIRON_KEY: "forged"}
    body = b"".join(open_gate(app)(environ, lambda status, headers: told.extend([status, headers])))
    headers = CaseInsensitiveDict({**dict(told[1]), "X-Openstack-Request-Id": "req-1"})
    return int(told[0].split()[0]), headers, json.loads(body), seen


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "10.0.0.1", "::ffff:192.0.2.7", "fe80::1", "junk"]
)
def test_a_caller_from_another_machine_is_not_served(address: str) -> None:
    status, headers, body, seen = answer(address)
    check_refusal(status, headers, body, "403 not_loopback")
    assert not seen


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", ""])
def test_callers_on_this_machine_share_one_identity(address: str) -> None:
    status, _, _, seen = answer(address)
    assert status == 200
    assert seen[ENVIRON_KEY].user_id == "anybody"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8796", "192.0.2.1:8796", "[::2]"])
def test_without_authentication_a_page_elsewhere_cannot_send_this_machines_browser(
    host: str,
) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise AssertionError("the request got through")

    answered: list[str] = []
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": host}
    body = b"".join(open_gate(app)(environ, lambda status, headers: answered.append(status)))
    assert answered == ["403 Forbidden"]
    assert json.loads(body)["errors"][0]["code"] == "contextualization.not_loopback"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8796", "127.0.0.1:80", "[::1]", "[::1]:1"]
)
def test_without_authentication_this_machine_is_served_by_any_of_its_own_names(host: str) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return [environ[ENVIRON_KEY].project_id.encode()]

    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": host}
    assert list(open_gate(app)(environ, lambda *_: None)) == [b"none"]


@pytest.mark.parametrize("path", ["", "/"])
def test_the_root_of_a_mount_point_is_the_root_with_a_slash_or_without(
    path: str,
) -> None:
    mounted = create_app(mock.Mock(spec=Services, clock=SystemClock()), mock.Mock())
    environ = EnvironBuilder(
        path="/", base_url="http://cloud.example/contextualization"
    ).get_environ()
    environ["PATH_INFO"] = path
    response = Response.from_app(PathDispatcher({}, mounted), environ)
    assert response.status_code == HTTPStatus.OK
    (version,) = response.get_json()["versions"]
    assert version["links"][0]["href"] == "http://cloud.example/contextualization/v1/"


def test_an_id_that_a_caller_sends_is_noted_and_never_becomes_the_requests_own() -> None:
    seen: list[dict[str, object]] = []
    answered: list[list[tuple[str, str]]] = []

    def app(environ: dict[str, object], start_response: Callable[..., object]) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return []

    sent = "req-" + "0123abcd-0123-0123-0123-0123456789ab"
    for header in (sent, sent.upper(), sent + "\r\nX: 1", ""):
        environ = {"HTTP_X_OPENSTACK_REQUEST_ID": header}
        RequestId(app)(environ, lambda status, headers: answered.append(headers))
    assert [environ.get("openstack.global_request_id") for environ in seen] == [sent] + [None] * 3
    own = [environ["openstack.request_id"] for environ in seen]
    assert len(set(own)) == 4
    assert sent not in own
    assert answered == [[("X-Openstack-Request-Id", each)] for each in own]
