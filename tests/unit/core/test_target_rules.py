"""Targets whose text shows that they are inside the operator's networks."""

from __future__ import annotations

import pytest

from factstore.core.errors import Invalid
from factstore.core.model.address_rules import AddressRules
from factstore.core.model.target_rules import TargetRules

PUBLIC = TargetRules()
PRIVATE = TargetRules(
    allow_http=True, addresses=AddressRules(["10.0.0.0/8", "127.0.0.0/8", "fd00::/8"])
)

INSIDE = """
    127.0.0.1 10.1.2.3 172.16.0.1 192.168.0.1 169.254.169.254 100.64.0.1 0.0.0.0 255.255.255.255
    224.0.0.1 240.0.0.1 192.0.2.1 198.18.0.1 [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1]
    [::ffff:a9fe:a9fe] [::127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::a00:1]
    [2002:7f00:1::] [2002:a00:1::1] [2002:808:808::1] [2001:0:7f00:1::]
    [2001:0:808:808::f5ff:fffe] [fe80::1] [fd00::1] [fc00::1] [ff02::1] [2001:db8::1] [fec0::1]
    [::ffff:0:127.0.0.1] [5f00::1] [3fff::1] [4000::1] [2001:470:1:2:0:5efe:7f00:1]
    [2001:470:1:2:200:5efe:a00:1] localhost LOCALHOST
    a.localhost 2130706433 0x7f000001 0x7f.1 0177.1 0177.0.0.1 127.1 127.0.1
    127.00.0.1 [fe80::1%25eth0] user@8.8.8.8 8.8.8.8:22 127.0.0.1. localhost.
"""
OUTSIDE = """
    8.8.8.8 [2001:4860:4860::8888] [::ffff:8.8.8.8] [64:ff9b::8.8.8.8] example.com
    localhost.example.com [2001:470:1:2:0:5efe:808:808]
"""


@pytest.mark.parametrize("host", INSIDE.split())
def test_a_target_inside_is_refused(host: str) -> None:
    with pytest.raises(Invalid) as caught:
        PUBLIC.parse(f"https://{host}/")
    assert caught.value.code == "target_invalid"


@pytest.mark.parametrize("host", OUTSIDE.split())
def test_a_target_outside_is_accepted(host: str) -> None:
    assert PUBLIC.parse(f"https://{host}/").needs_challenge


@pytest.mark.parametrize(
    "uri", ["http://10.1.2.3/", "https://[::ffff:10.0.0.1]:8443/", "http://localhost:8080/", "http://[fd00::1]/"]
)  # fmt: skip
def test_an_operator_allows_networks(uri: str) -> None:
    assert PRIVATE.parse(uri).text == uri
    with pytest.raises(Invalid):
        PUBLIC.parse(uri)


@pytest.mark.parametrize("uri", ["http://192.168.0.1/", "http://[::1]/", "http://10.0.0.1:22/"])
def test_other_networks_stay_refused(uri: str) -> None:
    with pytest.raises(Invalid):
        PRIVATE.parse(uri)


def test_services_of_the_cloud_may_be_inside() -> None:
    uri = "heat-signal:http://10.0.0.11:8000/v1/signal/a?Signature=b"
    assert PUBLIC.parse(uri).text == uri


def test_a_rule_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        AddressRules(["10.0.0.1/8"])
    assert AddressRules().refusal("localhost")
