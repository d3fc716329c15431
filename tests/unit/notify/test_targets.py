"""Tests of the kinds of targets, with servers that note requests."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.client.webhook import verify_webhook
from factstore.core.model.cursor import Cursor
from factstore.core.model.target import Target
from factstore.notify.deadline import Deadline
from factstore.notify.host_slots import HostSlots
from factstore.notify.messages import CHANGE, CloudEvent, Message, challenge, is_confirmed
from factstore.notify.targets import sender
from factstore.notify.targets.base import CloudError, Outcome, Surroundings, TargetSender
from factstore.notify.web_client import WebClient
from tests.unit.notify.peers import OK, Peer, answering, peer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


class FakeCloud:
    """A cloud whose services have the same port."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}/v1"
        self.refuses = False
        self.forgotten: list[tuple[str, str | None]] = []

    def headers(self, project_id: str, trust_id: str | None) -> Mapping[str, str]:
        if self.refuses:
            raise CloudError("Keystone refused the trust")
        return {"X-Project-ID": project_id, "X-Auth-Token": trust_id or "own"}

    def forget(self, project_id: str, trust_id: str | None) -> None:
        self.forgotten.append((project_id, trust_id))

    def zaqar_endpoint(self) -> str:
        return self.endpoint.removesuffix("/v1")

    def heat_endpoints(self) -> Sequence[str]:
        return [self.endpoint]


def new_sender(
    text: str,
    cloud: FakeCloud,
    *,
    refusal: str | None = None,
    slots: HostSlots = HostSlots(32),  # noqa: B008 - it is shared, as in a notifier
    allow_http: bool = True,
) -> TargetSender:
    web = WebClient(
        lambda host, port, seconds: ["127.0.0.1"],
        lambda address: refusal,
        ssl.create_default_context(),
    )
    target = Target.parse(text, allow_http=True)
    return sender(
        target, "project", Surroundings(web, cloud, slots, lambda: 1614265330, allow_http)
    )


def events(*revisions: int, data: str = "{}") -> Message:
    found = [
        CloudEvent(CHANGE, f"s.{at}", "/v1/stacks/a", data, Cursor("0" * 16, at))
        for at in revisions
    ]
    return Message(tuple(found), batch=len(found) > 1)


def send(to: TargetSender, message: Message) -> Outcome:
    try:
        return to.send(message, [SECRET], Deadline(30))
    finally:
        to.close()


def received(server: Peer) -> list[tuple[bytes, dict[str, str], bytes]]:
    """Return the request line, the headers and the body of each request."""
    found = []
    for request in server.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        found.append((line.encode(), dict(each.split(": ", 1) for each in headers), body))
    return found


def test_a_webhook_receives_a_message_that_the_client_verifies() -> None:
    with peer(answering()) as server:
        webhook = new_sender(f"http://paas.example:{server.port}/hook", FakeCloud(server.port))
        assert send(webhook, events(1, 2)).error is None
    line, headers, body = received(server)[0]
    assert line == b"POST /hook HTTP/1.1"
    assert headers["Content-Type"] == "application/cloudevents-batch+json"
    assert len(verify_webhook(SECRET, headers, body, now=1614265330)) == 2


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            b"302 Found\r\nLocation: /other",
            Outcome(302, "the target redirects, which is not followed"),
        ),
        (b"410 Gone", Outcome(410, "the target answered with status 410")),
        (b"503 X\r\nRetry-After: 9", Outcome(503, "the target answered with status 503", 9.0)),
        (b"429 X\r\nRetry-After: soon", Outcome(429, "the target answered with status 429")),
    ],
)
def test_other_statuses_than_200_are_failures(answer: bytes, outcome: Outcome) -> None:
    with peer(answering(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n")) as server:
        webhook = new_sender(f"http://paas.example:{server.port}/", FakeCloud(server.port))
        assert send(webhook, events(1)) == outcome
        assert outcome.gone == (outcome.status == 410)


def test_a_webhook_whose_address_is_refused_is_not_connected_to() -> None:
    with peer(answering()) as server:
        webhook = new_sender(
            f"http://paas.example:{server.port}/", FakeCloud(server.port), refusal="private"
        )
        assert "does not deliver" in (send(webhook, events(1)).error or "")
    assert server.connections == 0


def test_a_server_may_close_a_connection_between_two_messages() -> None:
    def once(server: Peer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(OK)

    with peer(once) as server:
        webhook = new_sender(f"http://paas.example:{server.port}/", FakeCloud(server.port))
        for at in 1, 2, 3:
            assert webhook.send(events(at), [SECRET], Deadline(30)).error is None
        webhook.close()
    assert server.connections == 3


def test_what_a_server_sends_between_two_messages_is_not_the_response_to_the_second() -> None:
    surplus = (
        OK + b"x" * 100_000 + b"HTTP/1.1 500 No\r\n\r\n"
    )  # more than is read with the response
    with peer(answering(surplus)) as server:
        webhook = new_sender(f"http://paas.example:{server.port}/", FakeCloud(server.port))
        for at in 1, 2:
            assert webhook.send(events(at), [SECRET], Deadline(30)) == Outcome(200, body=b"ok")
        webhook.close()
    assert server.connections == 2


def test_a_target_without_tls_gets_nothing_once_the_operator_wants_it() -> None:
    with peer(answering()) as server:
        url = f"http://paas.example:{server.port}/"
        webhook = new_sender(url, FakeCloud(server.port), allow_http=False)
        assert "without TLS" in (send(webhook, events(1)).error or "")
    assert server.connections == 0


def test_a_project_sends_few_requests_to_a_host_at_once() -> None:
    slots = HostSlots(1)
    with peer(answering()) as server:
        cloud = FakeCloud(server.port)
        url = f"http://paas.example:{server.port}/"
        with slots.taken("project", "paas.example", Deadline(30)):
            refused = new_sender(url, cloud, slots=slots).send(events(1), [SECRET], Deadline(0.1))
            assert refused.error == "too many requests to this host were running"
            with slots.taken("another", "paas.example", Deadline(30)):
                pass
        with ThreadPoolExecutor() as threads, slots.taken("project", "paas.example", Deadline(30)):
            sent = threads.submit(send, new_sender(url, cloud, slots=slots), events(1))
            assert not sent.done()
        assert sent.result().error is None
    assert server.connections == 1


def test_a_target_confirms_a_challenge_in_its_response() -> None:
    answer = b'{"challenge": "token"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer)
    with peer(answering(head + answer)) as server:
        webhook = new_sender(f"http://paas.example:{server.port}/", FakeCloud(server.port))
        assert is_confirmed(send(webhook, Message((challenge("s", "token"),))).body, "token")


def test_each_event_becomes_a_message_in_the_queue_of_the_project() -> None:
    trust = "0123456789abcdef0123456789abcdef"
    with peer(answering(CREATED)) as server:
        cloud = FakeCloud(server.port)
        queue = new_sender(
            f"zaqar:?queue_name=jobs&ttl=600&trust_id={trust}", cloud, refusal="private"
        )
        assert send(queue, events(*range(1, 26))).error is None
    first, second = received(server)
    line, headers, body = first
    assert line == b"POST /v2/queues/jobs/messages HTTP/1.1"
    assert (headers["X-Project-ID"], headers["X-Auth-Token"]) == ("project", trust)
    messages = [*json.loads(body)["messages"], *json.loads(second[2])["messages"]]
    assert [message["body"]["id"] for message in messages] == [f"s.{at}" for at in range(1, 26)]
    assert messages[0]["ttl"] == 600


def test_an_event_that_is_too_large_for_a_queue_is_replaced_by_its_cursor() -> None:
    with peer(answering(CREATED)) as server:
        queue = new_sender("zaqar:?queue_name=jobs", FakeCloud(server.port))
        assert send(queue, events(1, data=json.dumps("x" * 300_000))).error is None
    (message,) = json.loads(received(server)[0][2])["messages"]
    assert message["body"]["data"] == {"cursor": f"{'0' * 16}.1", "too_large": True}


def test_a_queue_without_permission_is_reported_and_its_token_is_forgotten() -> None:
    refused = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    with peer(answering(refused)) as server:
        cloud = FakeCloud(server.port)
        queue = new_sender("zaqar:?queue_name=jobs", cloud)
        assert send(queue, events(1)).status == 401
        assert cloud.forgotten == [("project", None)]
        cloud.refuses = True
        assert send(queue, events(1)).error == "Keystone refused the trust"


def test_a_resource_of_heat_is_signalled() -> None:
    with peer(answering()) as server:
        cloud = FakeCloud(server.port)
        signal = new_sender(
            f"heat-signal:{cloud.endpoint}/signal/arn?Signature=a", cloud, refusal="private"
        )
        assert send(signal, events(1, data='{"cursor": "c"}')).error is None
    line, _, body = received(server)[0]
    assert line == b"POST /v1/signal/arn?Signature=a HTTP/1.1"
    assert json.loads(body) == {
        "id": "s.1",
        "status": "SUCCESS",
        "reason": "/v1/stacks/a",
        "data": {"cursor": "c"},
        "state": "alarm",
    }


@pytest.mark.parametrize("path", ["/v2/signal", "/v1x/signal", "/v1/../v2", "/v1/%2E./v2", "/v1"])
def test_other_urls_than_those_of_heat_are_not_signalled(path: str) -> None:
    with peer(answering()) as server:
        cloud = FakeCloud(server.port)
        signal = new_sender(f"heat-signal:http://127.0.0.1:{server.port}{path}", cloud)
        assert send(signal, events(1)).error == "the target is not a URL of this cloud's Heat"
    assert server.connections == 0
