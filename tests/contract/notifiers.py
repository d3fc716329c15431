"""Notifiers in threads, on the workers of the contract tests, and receivers of messages."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from factstore.api.serializers.events import event_texts
from factstore.client.webhook import verify_webhook
from factstore.core.model.address_rules import AddressRules
from factstore.core.model.delivery import DeliveryState
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import Subscription
from factstore.core.model.subscription_request import SubscriptionRequest
from factstore.core.model.target_rules import TargetRules
from factstore.core.model.unnamed import unnamed_scope
from factstore.core.operations.deliveries import FinishDeletion
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.subscription_changes import StartDeletion
from factstore.core.operations.subscription_secrets import new_challenge, new_secret
from factstore.core.operations.subscriptions import CreateSubscription
from factstore.notify.host_slots import HostSlots
from factstore.notify.notifier import Notifier
from factstore.notify.notifier_lease import NotifierLease
from factstore.notify.parts import Parts
from factstore.notify.shared_texts import SharedTexts
from factstore.notify.targets.base import Surroundings
from factstore.notify.web_client import WebClient
from tests.contract.world import CLOCK, PROJECT, TIMEOUT, Worker, author
from tests.eventually import eventually
from tests.unit.notify.peers import Peer

SCOPE = unnamed_scope(PROJECT)
RULES = TargetRules(allow_http=True, addresses=AddressRules(["127.0.0.0/8"]))
PLAIN = Encryption(NoKeyring())
OK = 200
LONG = 60.0


class Threads:
    """The concurrency of a notifier, in threads."""

    def spawn(self, run: Callable[[], None]) -> object:
        """Run a function in a thread."""
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def new_signal(self) -> threading.Event:
        """Return an event."""
        return threading.Event()


class Counts:
    """Counts what notifiers report."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, str]] = []
        self.ends: list[str] = []

    def attempted(self, kind: str, outcome: str, seconds: float) -> None:
        self.outcomes.append((kind, outcome))

    def delivered_events(self, count: int) -> None:
        pass

    def ended(self, state: str) -> None:
        self.ends.append(state)


class NoCloud:
    """A cloud without other services."""

    def headers(self, project_id: str, trust_id: str | None) -> dict[str, str]:
        return {}

    def forget(self, project_id: str, trust_id: str | None) -> None: ...

    def zaqar_endpoint(self) -> str:
        return "http://127.0.0.1:1"

    def heat_endpoints(self) -> Sequence[str]:
        return []


def start_notifier(
    worker: Worker, counts: Counts | None = None, *, suspend_after: float = 3600
) -> Notifier:
    """Start a notifier on a worker."""
    threads = Threads()
    wake = threads.new_signal()
    web = WebClient(
        lambda host, port, seconds: ["127.0.0.1"],
        lambda address: None,
        ssl.create_default_context(),
    )
    lease = NotifierLease(worker.store, CLOCK, TIMEOUT, threads, lambda: notifier.lost())
    parts = Parts(
        name=secrets.token_hex(16),
        store=worker.store,
        events=worker.hub,
        listen=worker.hub.listen,
        transactor=worker.transactor,
        encryption=PLAIN,
        clock=CLOCK,
        concurrency=threads,
        surroundings=Surroundings(web, NoCloud(), HostSlots(32), time.time, allow_http=True),
        render=SharedTexts(partial(event_texts, names_stacks=True)),
        observer=counts or Counts(),
        lease=lease,
        suspend_after=suspend_after,
        changed=wake.set,
    )
    notifier = Notifier(parts, "host", wake)
    notifier.start()
    return notifier


def subscribe(worker: Worker, target: str, **options: Any) -> Subscription:
    """Create a subscription to a target."""
    secret = options.pop("secret", None) or new_secret()
    encryption = options.pop("encryption", PLAIN)
    request = SubscriptionRequest.of(target, RULES, **options)
    operation = CreateSubscription(
        SCOPE, request, author(), secrets.token_hex(16), secret, new_challenge(), encryption
    )
    return worker.transactor.run(operation).outcome.subscription


def subscription(worker: Worker, identifier: str) -> Subscription | None:
    found = worker.store.state().record(SCOPE, RecordKey(Subscription, identifier))
    assert found is None or isinstance(found, Subscription)
    return found


def progress(worker: Worker, identifier: str) -> DeliveryState | None:
    found = worker.store.state().record(SCOPE, RecordKey(DeliveryState, identifier))
    assert found is None or isinstance(found, DeliveryState)
    return found


def becomes(worker: Worker, identifier: str, state: str) -> None:
    """Wait until a subscription has a state."""
    eventually(
        lambda: (found := subscription(worker, identifier)) is not None and found.state == state,
    )


def delete(worker: Worker, identifier: str) -> None:
    """Delete a subscription, as the API does: return when nothing more is delivered."""
    worker.transactor.run(StartDeletion(SCOPE, identifier, author()))
    eventually(lambda: worker.transactor.run(FinishDeletion(SCOPE, identifier)).outcome)


class Receiver:
    """A web server that verifies messages, and answers as a test wants.

    :ivar status: of the responses to events; None to send none.
    :ivar headers: of these responses, each with the end of its line.
    :ivar before_answer: called before the response to an event is sent.
    """

    def __init__(self, *, confirms: bool = True) -> None:
        self.secret: str | None = None
        self.confirms = confirms
        self.status: int | None = OK
        self.headers = b""
        self.before_answer: Callable[[], object] = lambda: None
        self.messages: list[tuple[str, Any]] = []
        self._arrived = threading.Condition()
        self._server = Peer(self._serve)
        self.url = f"http://receiver.example:{self._server.port}/hook"

    def _serve(self, connection: socket.socket) -> None:
        while request := self._server.read_request(connection):
            head, _, body = request.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")[1:]
            headers = dict(line.split(": ", 1) for line in lines)
            message = (
                verify_webhook(self.secret, headers, body) if self.secret else json.loads(body)
            )
            first = message[0] if isinstance(message, list) else message
            status, answer = self.status, b""
            if first["type"].endswith(".challenge"):
                status = OK
                answer = json.dumps({"challenge": first["data"]["challenge"]}).encode()
                answer = answer if self.confirms else b"{}"
            with self._arrived:
                self.messages.append((headers["webhook-id"], message))
                self._arrived.notify_all()
            if status is None:
                self._server.ended.wait()
                return
            own = b""
            if not first["type"].endswith(".challenge"):
                self.before_answer()
                own = self.headers
            head = b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n" % (status, own, len(answer))
            connection.sendall(head + answer)

    def types(self) -> list[str]:
        """Return the last words of the types of the events that arrived."""
        return [event["type"].rpartition(".")[2] for event in self.events()]

    def events(self) -> list[dict[str, Any]]:
        """Return all events that arrived."""
        found: list[dict[str, Any]] = []
        for _, message in list(self.messages):
            found += message if isinstance(message, list) else [message]
        return found

    def paths(self) -> list[str]:
        """Return the paths of the facts that changed, once each, in the order of their arrival."""
        changes = [
            change["path"]
            for event in self.events()
            if event["type"].endswith(".change")
            for change in event["data"]["changes"]
        ]
        return list(dict.fromkeys(changes))

    def close(self) -> None:
        self._server.close()


def last_error(worker: Worker, identifier: str) -> str:
    found = progress(worker, identifier)
    return str(found.last_error) if found else ""
