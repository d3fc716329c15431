"""Which member an agent is, and the machine to which its state directory is bound."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.cli import main
from factstore.agent.errors import NameUnknown, Superseded
from factstore.agent.session.identity import Identity
from factstore.agent.startup import Startup
from factstore.agent.system.machine import Machine, host_name_for
from tests.unit.agent.factories import member, settings, state, write
from tests.unit.client.stub import FakeClock, Service, answer, refusal

UUID = "0f3c2a10-9b7d-4c55-8a11-3d2f6c0a9b11"
NOVA = {"ds": {"meta_data": {"uuid": UUID}}, "v1": {"instance_id": "nocloud"}}
NONE = answer(200, {"members": [], "links": []})


class Host:
    """A machine whose files are below a directory, and its agent."""

    def __init__(self, directory: Path, service: Service, clock: FakeClock) -> None:
        self.directory = directory
        self.service = service
        self.clock = clock
        self.options: dict[str, Any] = {"member": None}
        self.identify("1" * 32, "boot-1")

    def identify(self, machine_id: str, boot: str, system: str = "") -> None:
        write(self.directory / "etc/machine-id", machine_id)
        write(self.directory / "proc/sys/kernel/random/boot_id", boot)
        write(self.directory / "sys/class/dmi/id/product_uuid", system)

    @property
    def machine(self) -> Machine:
        return Machine(self.directory)

    def start(self, *, waits: bool = True) -> str:
        """Return the name of the member that an agent starts as."""
        made = settings(self.directory, f"[service]\nurl = {self.service.url}\n", **self.options)
        state(self.directory)
        startup = Startup(made, {}, self.clock, waits=waits, machine=self.machine)
        return startup.run().agent.member


@pytest.fixture
def host(tmp_path: Path, service: Service, clock: FakeClock) -> Host:
    return Host(tmp_path, service, clock)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The host names that the machine has, one after the other; the last one remains."""
    names = ["localhost"]

    def gethostname() -> str:
        return names.pop(0) if len(names) > 1 else names[0]

    monkeypatch.setattr(socket, "gethostname", gethostname)
    return names


def members(*declared: str) -> Any:
    """Return the answer that lists members, each declared as something."""
    listed = [{**member(name=name, generation="0"), "declared": "heat:x"} for name in declared]
    return answer(200, {"members": listed, "links": []})


@pytest.mark.parametrize(
    ("server", "host_name"),
    [
        ("node-1", "node-1"),
        ("Cluster_A node", "cluster-a-node"),
        ("db.example.com", "db.example.com"),
        ("prod-é!", "prod-é"),
        (f"{'x' * 62}-y", "x" * 62),
    ],
)
def test_host_names_are_those_that_nova_gives(server: str, host_name: str) -> None:
    assert host_name_for(server) == host_name


@pytest.mark.parametrize(
    ("host_name", "declared", "name"),
    [
        ("node-2", ["Node_1", "Node_2"], "Node_2"),
        ("db.example.com", ["db.example.com", "db.example.org"], "db.example.com"),
        ("db", ["db.example.com"], "db.example.com"),
        ("rhel-7-4", ["rhel-7.4"], "rhel-7.4"),
        ("x" * 63, ["x" * 70], "x" * 70),
        ("prod", ["prod.eu", "prod.us"], "prod"),  # it may be either
        ("other", ["Node_1"], "other"),
    ],
)
def test_an_agent_is_the_declared_member_whose_server_has_its_host_name(
    host: Host, named: list[str], service: Service, host_name: str, declared: list[str], name: str
) -> None:
    named[:] = [host_name]
    service.will(refusal(404, "not_found"), members(*declared))
    assert host.start() == name


def test_an_agent_is_the_member_that_is_declared_with_its_instance_id(
    host: Host, named: list[str], service: Service
) -> None:
    write(host.directory / "run/cloud-init/instance-data.json", json.dumps(NOVA))
    service.will(NONE, members("web"))
    assert host.start() == "web"
    assert [call.query["declared"] for call in service.calls] == [f"heat:{UUID}", f"nova:{UUID}"]
    assert host.start() == "web"  # it is stored
    host.identify("1" * 32, "boot-2")
    assert host.start() == "web"
    assert Identity(settings(host.directory, member=None), host.machine).known_member == "web"


@pytest.mark.parametrize("source", ["option", "metadata", "firmware"])
def test_the_instance_id_is_also_an_attribute_of_the_member(host: Host, source: str) -> None:
    if source == "metadata":
        told = {"ds": {"meta_data": {"meta": {"factstore_instance_id": "s-1"}, "uuid": UUID}}}
        write(host.directory / "run/cloud-init/instance-data.json", json.dumps(told))
    if source == "firmware":
        host.identify("1" * 32, "boot-1", UUID.upper())
    options = {"instance_id": "s-1"} if source == "option" else {}
    made = settings(host.directory, attributes='{"rack": 7}', **options)
    found = Identity(made, host.machine).settings_of("c1").agent.attributes
    assert found == {"rack": 7, "instance_id": UUID if source == "firmware" else "s-1"}


def test_an_agent_waits_while_its_host_has_no_name_of_its_own(
    host: Host,
    named: list[str],
    service: Service,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    unnamed = ["localhost.localdomain", "(none)", "", "debian", "ubuntu.local", "ip6-localhost"]
    named[:] = [*unnamed, "localhost", "c7.example.com"]
    service.will(refusal(503, "unavailable"), refusal(404, "not_found"), NONE)
    assert host.start() == "c7"
    assert "waiting for a name: The host has no name of its own yet" in caplog.text
    named[:] = ["localhost"]
    assert host.start() == "c7"  # as before
    host.identify("2" * 32, "boot-1")
    with pytest.raises(NameUnknown, match="no name of its own"):
        host.start(waits=False)
    named[:] = ["c\u00f6mpute.example.com"]
    with pytest.raises(
        NameUnknown, match=r"The host name 'c.mpute.example.com' cannot be the name of"
    ):
        host.start(waits=False)
    (tmp_path / "state/identity.json").unlink()
    assert main(["--config", str(tmp_path / "agent.conf"), "put", "services/x", "started"]) == 4
    assert not (tmp_path / "state/said.json").exists()


@pytest.mark.parametrize("error", [refusal(403, "forbidden"), refusal(401, "unauthorized")])
def test_an_agent_that_may_not_list_members_has_its_host_name(
    host: Host, named: list[str], service: Service, error: Any
) -> None:
    named[:] = ["c7"]
    service.will(error)
    assert host.start() == "c7"


@pytest.mark.parametrize("change", ["machine id", "system", "directory"])
def test_a_copy_gives_way_to_a_living_original_and_leaves_a_mark(
    host: Host, service: Service, clock: FakeClock, change: str
) -> None:
    host.options["member"] = "c1"
    host.identify("1" * 32, "boot-1", UUID)
    assert host.start() == "c1"
    state(host.directory).write("member", {"generation": "1a"})
    if change == "machine id":
        host.identify("2" * 32, "boot-2", UUID)
    elif change == "system":  # the machine id was copied, too
        host.identify("1" * 32, "boot-2", UUID.replace("0", "f"))
    else:
        shutil.copytree(host.directory / "state", host.directory / "copy")
        shutil.rmtree(host.directory / "state")
        (host.directory / "copy").rename(host.directory / "state")
    mark = answer(201, {})
    service.will(*[answer(200, member("1a"))] * 1, mark, *[answer(200, member("1a"))] * 35)
    with pytest.raises(Superseded, match="Member c1 of stack slurm is alive on another machine"):
        host.start()
    assert sum(clock.pauses) == 35
    assert service.calls[1].path == "/v1/stacks/slurm/facts/results/c1/agent/copy"
    # When the original has expired, the copy takes its place, without its state.
    service.will(answer(200, member("1a")), mark, refusal(404, "not_found"), answer(204))
    assert host.start() == "c1"
    assert state(host.directory).read("member") is None
    assert host.start() == "c1"


@pytest.mark.parametrize("machine_id", ["1" * 32, "", "uninitialized"])
def test_a_machine_that_has_booted_keeps_its_state(host: Host, machine_id: str) -> None:
    host.options["member"] = "c1"
    assert host.start() == "c1"
    state(host.directory).write("member", {"generation": "1a"})
    host.identify(machine_id, "boot-2")
    assert host.start() == "c1"
    assert state(host.directory).read("member") == {"generation": "1a"}


def test_a_machine_with_another_host_name_asks_again_which_member_it_is(
    host: Host, named: list[str], service: Service
) -> None:
    """It may be made from an image of the other, which had the same ids or none."""
    write(host.directory / "run/cloud-init/instance-data.json", json.dumps(NOVA))
    named[:] = ["web"]
    service.will(members("web"))
    assert host.start() == "web"
    host.identify("1" * 32, "boot-2")
    named[:] = ["db"]
    service.will(members("db"))
    assert host.start() == "db"
