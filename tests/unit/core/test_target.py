"""Tests of the grammar of targets."""

from __future__ import annotations

import pytest

from factstore.core.errors import Invalid
from factstore.core.model.target import Target

TRUST = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "host", "port", "resource", "authority"),
    [
        ("https://paas.example", "paas.example", 443, "/", "paas.example"),
        ("https://paas.example:8443/a?b=c", "paas.example", 8443, "/a?b=c", "paas.example:8443"),
        ("http://192.0.2.7/x", "192.0.2.7", 80, "/x", "192.0.2.7"),
        ("http://paas.example:443/", "paas.example", 443, "/", "paas.example:443"),
        ("https://[2001:DB8::1]:9000?q", "2001:db8::1", 9000, "/?q", "[2001:db8::1]:9000"),
        ("https://xn--bcher-kva.example/%2e%2E/", "xn--bcher-kva.example", 443, "/%2e%2E/", None),
    ],
)
def test_the_parts_of_a_web_target_are_those_that_are_sent(
    text: str, host: str, port: int, resource: str, authority: str | None
) -> None:
    target = Target.parse(text, allow_http=True)
    assert (target.host, target.port, target.resource) == (host, port, resource)
    assert target.authority == (authority or host)
    assert target.needs_challenge


def test_services_of_the_same_cloud_are_not_challenged() -> None:
    queue = Target.parse(f"zaqar:?queue_name=jobs&trust_id={TRUST}")
    assert queue.parameters == {"queue_name": "jobs", "trust_id": TRUST}
    signal = Target.parse(
        "heat-signal:http://heat.example:8000/v1/signal/arn%3Aopenstack?Signature=a%3D"
    )
    assert (signal.authority, signal.encrypted) == ("heat.example:8000", False)
    assert signal.resource == "/v1/signal/arn%3Aopenstack?Signature=a%3D"
    assert not queue.needs_challenge
    assert not signal.needs_challenge


@pytest.mark.parametrize(
    "text",
    [
        "",
        "paas.example/hook",
        "ftp://paas.example/",
        "HTTPS://paas.example/",
        "https:paas.example",
        "https:///hook",
        "https://user@paas.example/",
        "https://user:secret@paas.example/",
        "https://paas.example\\@127.0.0.1/",
        "https://paas.example#@127.0.0.1/",
        "https://paas.example/#part",
        "https://paas.example/a b",
        "https://paas.example/a\r\nHost: other",
        "https://paas.example/\n",
        "https://paas.example:0/",
        "https://paas.example:22/",
        "https://paas.example:65536/",
        "https://paas.example:80x/",
        "https://paas.example./",
        "https://paas..example/",
        "https://paas\u3002example/",
        "https://b\u00fccher.example/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.0x1/",
        "https://a.1/",
        "https://[fe80::1%25eth0]/",
        "https://[127.0.0.1]/",
        "https://[::1/",
        f"https://{'a' * 64}.example/",
        f"https://paas.example/{'a' * 2048}",
        "zaqar:queue",
        "zaqar:?",
        "zaqar:?queue_name=",
        "zaqar:?queue_name=a/b",
        "zaqar:?queue_name=a&queue_name=b",
        "zaqar:?queue_name=a&project=b",
        "zaqar:?queue_name=a#b",
        "zaqar:?queue_name=a&trust_id=b",
        "zaqar:?queue_name=%ff",
        "heat-signal:?stack_name=web",
        "heat-signal:https://user@heat.example/v1/signal",
        "heat-signal:heat-signal:https://heat.example/v1/signal",
        "heat-signal:https://0x7f.1/v1/signal",
        "trust+https://paas.example/",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Target.parse(text, allow_http=True)
    assert refusal.value.code == "target_invalid"


def test_a_target_that_is_not_encrypted_needs_the_consent_of_the_operator() -> None:
    with pytest.raises(Invalid, match="https only"):
        Target.parse("http://paas.example/")
