"""The commands for operators on an etcd with TLS and users, with and without its first member."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from oslo_upgradecheck.upgradecheck import Code

from factstore.cmd.main import main
from factstore.cmd.processes.api import Options, write_options
from factstore.cmd.status_checks import check_etcd, guarded
from factstore.wsgi import configuration
from tests.cases import cases
from tests.commands import factstore
from tests.etcd_cluster import EtcdCluster
from tests.etcd_security import PASSWORD, USER, Certificates
from tests.eventually import eventually
from tests.http import Caller
from tests.service import ApiServer, check_log

PROJECT = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def cluster(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EtcdCluster]:
    """Three members, of which the first in the configuration is dead."""
    made = EtcdCluster(tmp_path_factory.mktemp("cluster"), tls=certificates.tls)
    made.start()
    try:
        made.wait_ready()
        certificates.enable_users(made.members[0].endpoint)
        made.members[0].kill()
        made.leader()
        yield made
    finally:
        made.stop()


def options_for(cluster: EtcdCluster, certificates: Certificates, **etcd: str) -> Options:
    files = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
    paths = {option: certificates.file(name) for option, name in files.items()}
    user = {"username": USER, "password": PASSWORD, "timeout": "60"}
    return {"etcd": {"endpoints": ",".join(cluster.endpoints), **user, **paths, **etcd}}


def test_commands_and_a_worker_that_starts_work_without_the_first_member(
    cluster: EtcdCluster, certificates: Certificates, tmp_path: Path
) -> None:
    options = options_for(cluster, certificates)

    def run(command: str, *arguments: str) -> str:
        result = factstore(command, "--config-file", tmp_path / "factstore.conf", *arguments)
        assert (result.returncode, result.stderr) == (0, ""), result
        return result.stdout

    with ApiServer(cluster.endpoints, tmp_path, options=options) as server:
        with Caller(server.url) as api:
            assert api.put("/v1/stacks/s/facts/a", "x").status_code == 201
            body = {"value": "x", "sensitive": True}
            assert api.put("/v1/stacks/s/facts/b", json=body).status_code == 201
            former = f"/v1/stacks/s/context?at={api.get('/v1/stacks/s/facts').json()['cursor']}"
            assert api.get(former).status_code == 200
            assert "the epoch was renewed" in run("renew-epoch", "--yes")

            def has_another_epoch() -> bool:
                fact = "/v1/stacks/s/facts/a"
                for answer in (api.put(fact, json={"value": "y"}), api.get(fact)):
                    text = f"{answer.headers} {answer.text}"
                    assert len(set(re.findall(r"([0-9a-f]{16})\.[0-9]", text))) <= 1, text
                return api.get(former).status_code == 410

            eventually(has_another_epoch)
        check_log(server, PASSWORD)

    assert "1 stack, 2 facts" in run("verify")
    assert "1 data key rewrapped" in run("rotate-keys")
    assert "deleted stack s" in run("purge", "--project", "none", "--yes")


@pytest.fixture
def fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Return a function that runs a command in this process, and returns the lines on stderr."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    monkeypatch.delenv("OS_FACTSTORE_CONFIG_FILES", raising=False)

    def run(*arguments: str) -> list[str]:
        assert main(arguments) != 0
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()

    return run


def test_a_failed_command_names_the_reason_for_each_endpoint(
    cluster: EtcdCluster,
    certificates: Certificates,
    tmp_path: Path,
    fails: Callable[..., list[str]],
) -> None:
    other_ca, config = certificates.file("other-ca.pem"), tmp_path / "factstore.conf"
    write_options(config, options_for(cluster, certificates, ca_file=other_ca, timeout="5"))
    first, second, third = cluster.endpoints
    reason = f"its certificate is not from ca_file {other_ca}"
    found, line = fails("verify", "--config-file", str(config))
    assert found == f"configuration: {config}"
    assert line == (
        f"factstore verify: The store cannot be reached: {first}: connection refused;"
        f" {second}: {reason}; {third}: {reason}"
    )


def test_a_failed_command_names_the_reason_why_etcd_refuses_the_user(
    cluster: EtcdCluster,
    certificates: Certificates,
    tmp_path: Path,
    fails: Callable[..., list[str]],
) -> None:
    config, endpoints = tmp_path / "factstore.conf", ",".join(cluster.endpoints[1:])
    wrong = {"endpoints": endpoints, "password": "not-the-one"}
    write_options(config, options_for(cluster, certificates, **wrong))
    reason = "etcd refuses the service's credentials: username and password in [etcd] are not those"
    assert reason in fails("verify", "--config-file", str(config))[-1]
    result = guarded(check_etcd, configuration.read([str(config)]))
    assert result.code is Code.FAILURE
    assert result.details.startswith(reason)


COMMANDS = (["verify"], ["purge", "--project", PROJECT], ["rotate-keys", "--reseal-only"])


def test_each_command_states_which_configuration_it_has_read(
    tmp_path: Path, fails: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, named = tmp_path / ".factstore" / "factstore.conf", tmp_path / "other.conf"
    usual.parent.mkdir()
    options: Options = {
        "etcd": {"endpoints": "http://127.0.0.1:1"},
        "sealing": {"key_repository": str(tmp_path / "none")},
    }
    for path in (usual, named):
        write_options(path, options)
    with cases() as case:
        for command in COMMANDS:
            with case(command):
                assert fails(*command)[0] == f"configuration: {usual}"
    monkeypatch.setenv("OS_FACTSTORE_CONFIG_FILES", str(named))
    assert fails("verify")[0] == f"configuration: {named}"


def test_without_a_configuration_no_keys_are_created(fails: Callable[..., list[str]]) -> None:
    found, refusal = fails("rotate-keys")
    assert found == "configuration: no file was found, and OS_FACTSTORE_CONFIG_FILES is not set"
    assert refusal.startswith("factstore rotate-keys: no configuration was found, and nothing was")
    assert "--config-file" in refusal
    assert not Path("/etc/factstore/sealing-keys").exists()


def test_a_wrong_option_is_refused_without_its_password(
    tmp_path: Path, fails: Callable[..., list[str]]
) -> None:
    config = tmp_path / "factstore.conf"
    for options, reason in (
        (
            {"endpoints": f"http://root:{PASSWORD}@127.0.0.1:1"},
            "'127.0.0.1:1' is not http://HOST:PORT",
        ),
        ({"endpoints": "127.0.0.1:1"}, "'127.0.0.1:1' is not http://HOST:PORT"),
        ({"endpoints": ""}, "[etcd] endpoints is empty"),
        ({"cert_file": "/dev/null"}, "cert_file and key_file must be set together"),
    ):
        write_options(config, {"etcd": options})
        line = fails("verify", "--config-file", str(config))[-1]
        assert reason in line
        assert PASSWORD not in line
