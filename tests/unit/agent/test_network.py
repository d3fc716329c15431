"""The addresses of a machine, each in a network namespace of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from factstore.agent.system import network
from factstore.agent.system.host_facts import HostFacts
from factstore.agent.system.netlink import _attributes

_PROGRAM = """
import json, sys
from factstore.agent.system.host_facts import HostFacts
addresses = sys.argv[1:]
host = HostFacts(lambda: addresses.pop(0) if addresses else None)
names = ["ip", "addresses", "interfaces"]
print(json.dumps([host.collect(names) for _ in range(max(1, len(addresses)))]))
"""
_ETH0 = ["link add eth0 type veth peer name far", "link set far up", "link set eth0 up"]
LINK_LOCAL = ["addr add 169.254.8.9/16 dev eth0", "route add default dev eth0"]
IPV6 = ["-6 addr add 2001:db8:5::5/64 dev eth0 nodad"]
IPV6_ROUTE = ["-6 route add default via 2001:db8:5::1"]
DOCKER = [
    "link add docker0 type bridge",
    "link set docker0 up",
    "addr add 172.17.0.1/16 dev docker0",
    "link add veth1 type veth peer name box",
    "link set veth1 up",
    "link set box up",
]


def network_of(commands: Sequence[str], *service: str) -> list[dict[str, Any]]:
    """Return the facts of the network that commands of ip make, once for each address of service."""
    lines = [*_ETH0, *commands]
    script = "\n".join(f"ip {line} || exit 3" for line in lines) + '\nexec "$@"'
    made = subprocess.run(
        ["unshare", "-n", "sh", "-c", script, "sh", sys.executable, "-c", _PROGRAM, *service],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare failed" in made.stderr:
        pytest.skip("only root may create a network namespace")
    assert made.returncode == 0, made.stderr
    found: list[dict[str, Any]] = json.loads(made.stdout)
    return found


@pytest.mark.parametrize(
    ("commands", "ip"),
    [
        (["addr add 10.20.0.5/16 dev eth0"], "10.20.0.5"),
        (IPV6, "2001:db8:5::5"),
        ([*LINK_LOCAL, *IPV6, *IPV6_ROUTE], "2001:db8:5::5"),
        ([*DOCKER, "addr add 10.20.0.5/16 dev eth0"], "10.20.0.5"),
        (LINK_LOCAL, "169.254.8.9"),
        ([], None),
    ],
)
def test_an_address_is_found_without_a_default_route(commands: list[str], ip: str | None) -> None:
    (found,) = network_of(commands)
    assert found.get("ip") == ip


def test_all_addresses_of_all_interfaces_are_returned_with_their_kinds() -> None:
    found, later, moved = network_of(
        [
            "link set lo up",
            "addr add 10.20.0.5/16 dev eth0",
            "addr add 10.20.0.6/16 dev eth0",
            "addr add 10.20.0.100/32 dev eth0",  # as keepalived does
            "addr add 10.9.9.9/32 dev lo",
            "route add default via 10.20.0.1",
            *IPV6,
            "-6 addr add fe80::5/64 dev eth0 nodad",
            "-6 addr add 2001:db8:5::6/64 dev eth0 nodad preferred_lft 0",
            *IPV6_ROUTE,
            *DOCKER,
        ],
        "10.20.0.6",
        "10.20.0.5",
        "127.0.0.1",
    )
    assert found["ip"] == later["ip"] == moved["ip"] == "10.20.0.6"  # and not now one, now another
    assert found["addresses"] == {
        "docker0": ["172.17.0.1"],
        "eth0": ["10.20.0.6", "10.20.0.5", "2001:db8:5::5", "10.20.0.100"],
        "lo": ["10.9.9.9"],
    }
    assert set(found["interfaces"]) == {"docker0", "eth0", "lo"}  # not those of containers
    assert found["interfaces"]["docker0"]["kind"] == "bridge"
    eth0 = found["interfaces"]["eth0"]
    assert len(eth0["mac"]) == len("02:00:00:00:00:01")
    rows = {each["address"]: each for each in eth0["addresses"]}
    assert {address: row["kind"] for address, row in rows.items() if row["scope"] == "global"} == {
        "10.20.0.5": "primary",
        "10.20.0.6": "secondary",
        "10.20.0.100": "secondary",
        "2001:db8:5::5": "primary",
        "2001:db8:5::6": "deprecated",
    }
    assert eth0["addresses"][-1]["scope"] == "link"
    assert [address for address, row in rows.items() if row["default_route"]] == [
        "10.20.0.5",
        "2001:db8:5::5",
    ]
    assert [address for address, row in rows.items() if row["service_route"]] == ["10.20.0.6"]
    assert rows["10.20.0.100"] | {"kind": ""} == {
        "address": "10.20.0.100",
        "prefix_length": 32,
        "family": "ipv4",
        "scope": "global",
        "kind": "",
        "default_route": False,
        "service_route": False,
    }


def test_the_address_of_the_default_route_is_found_where_netlink_is_forbidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden() -> list[Any]:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(network, "read_links", forbidden)
    monkeypatch.setattr(
        network, "_source", lambda family, _: {socket.AF_INET6: "2001:db8::7"}.get(family)
    )
    assert HostFacts().collect(["ip", "addresses", "interfaces"]) == {"ip": "2001:db8::7"}


def test_truncated_attributes_end_the_list() -> None:
    assert dict(_attributes(b"\x05\0\x03\0e\0\0\0" + b"\x02\0\x01\0")) == {3: b"e"}
    assert dict(_attributes(b"\x05\0")) == {}
