"""Each answer names one store, even if another backup is restored while the answer is being made."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from factstore.api import versions
from factstore.api.app import create_app
from factstore.api.identity import ENVIRON_KEY
from factstore.core.model.transaction import Transaction
from factstore.core.ports import CommitEnded
from factstore.core.state.state import State
from factstore.watch.hub import Hub
from factstore.wsgi.fast_path.fast_path import FastPath, Response
from factstore.wsgi.fast_path.stream_answer import StreamStart
from tests.cases import cases
from tests.contract.world import MemoryWorld, Worker, soon
from tests.eventually import eventually
from tests.raw_http import request_bytes
from tests.sealing_keys import make_keys, sealing_with
from tests.unit.wsgi.fast_requests import OWNER, fast_path, read

S = "/v1/stacks/s"
POSITION = re.compile(r"(?<![0-9a-f-])([0-9a-f]{16})\.([0-9]+)(?![0-9A-Za-z_])")
"""A cursor, or the part of an entity tag that names a store."""
UNRELATED = re.compile(r'"delivery":{[^}]*}|(?<=\.)[0-9a-f]{16}[0-9a-f.]*(?=")')
"""The cursor at which a subscription was created, and the digests in the plan of a batch."""
METHODS = (
    "stack_state",
    "stack",
    "stacks",
    "fact",
    "contents",
    "record",
    "member",
    "usage",
    "read",
)
"""The methods of a state with which a request begins to read it."""
WAITER = {"success": {"facts": "x", "equals": 1}}
ALARM = {"condition": {"facts": "x", "equals": 1}}
CHANGING = ("Date:", "X-Openstack-Request-Id:", "x-openstack-request-id:")
"""The headers that differ between two equal answers."""
NAMES = {"ETag", "Factstore-Cursor", "cursor", "etag", "next", "since", "until", "applied"}
CONFIGURATION = {"group": "script", "config": "true"}
ACTION = {"hook": "script", "config": "true", "member": "c1"}
RESULT = {"id": "{configuration}", "state": "complete", "status_code": 0}

Request = tuple[str, str, object]
Answer = tuple[int, str, str]

SETUP: tuple[Request, ...] = (
    ("PUT", S, {"description": "one"}),
    ("PUT", f"{S}/facts/a/b", {"value": 1}),
    ("PUT", f"{S}/facts/a/c", {"value": 2}),
    ("PUT", f"{S}/facts/key", {"value": "k", "sensitive": True}),
    ("PUT", f"{S}/members/c1", {"group": "compute", "ttl": 60}),
    ("PUT", f"{S}/members/c1/read_set", {"facts": ["a"]}),
    ("PUT", f"{S}/members/c2", {"group": "compute", "ttl": 60}),
    ("PUT", f"{S}/waiters/w", WAITER),
    ("PUT", f"{S}/alarms/w", ALARM),
    ("PUT", f"{S}/configurations/c1/one", CONFIGURATION),
    ("POST", f"{S}/actions", ACTION),
    ("PUT", f"{S}/turns/q/c1", {}),
    ("POST", f"{S}/grants", {"role": "reader"}),
    ("POST", "/v1/subscriptions", {"target": "zaqar:?queue_name=events"}),
)

READS: tuple[str, ...] = (
    "/v1/stacks",
    "/v1/stacks?limit=1",
    S,
    f"{S}?consistency=stale",
    f"{S}/facts",
    f"{S}/facts?limit=1",
    f"{S}/facts?limit=1&marker=a/b&cursor={{here}}",
    f"{S}/facts?cursor={{former}}",
    f"{S}/members?cursor={{former}}",
    "/v1/stacks?cursor={former}",
    f"{S}/facts/a/b",
    f"{S}/facts/a/b?consistency=stale",
    f"{S}/facts/a/b?wait=1",
    f"{S}/facts/a/b?format=raw",
    f"{S}/facts/key",
    f"{S}/context",
    f"{S}/context?include=results",
    f"{S}/context?format=prometheus-sd",
    f"{S}/context?member=c1",
    f"{S}/context?since={{here}}",
    f"{S}/context?since={{former}}",
    f"{S}/context?at={{here}}",
    f"{S}/context?at={{former}}",
    f"{S}/convergence",
    f"{S}/events?since={{here}}",
    f"{S}/events",
    "/v1/events?since={here}",
    f"{S}/history/a/b",
    f"{S}/diff",
    f"{S}/diff?since={{former}}",
    f"{S}/members",
    f"{S}/members?limit=1&marker=c1&cursor={{here}}",
    f"{S}/members/c1",
    f"{S}/members/c2",
    f"{S}/members/c1/actions",
    f"{S}/members/c1/why",
    f"{S}/waiters",
    f"{S}/waiters/w",
    f"{S}/alarms",
    f"{S}/alarms/w",
    f"{S}/grants",
    f"{S}/configurations",
    f"{S}/configurations/c1",
    f"{S}/configurations/c1/one",
    f"{S}/actions",
    f"{S}/actions/{{action}}",
    f"{S}/turns",
    f"{S}/turns/q",
    f"{S}/turns/q/c1",
    f"{S}/waits",
    "/v1/subscriptions",
    "/v1/subscriptions/{subscription}",
)
FAST_READS = tuple(
    path
    for path in READS
    if path.startswith((f"{S}/facts/a", f"{S}/context", f"{S}/events"))
    and not re.search("format=|at=", path)
)

FAST_WRITES = (f"{S}/facts/a/b", f"{S}/facts/a/new", f"{S}/batch")

WRITES: tuple[Request, ...] = (
    ("PUT", S, {"description": "two"}),
    ("PUT", "/v1/stacks/new", {}),
    ("PUT", f"{S}/facts/a/b", {"value": 5}),
    ("PUT", f"{S}/facts/a/new", {"value": 5}),
    ("PUT", f"{S}/facts/key", {"value": "new", "sensitive": True}),
    ("DELETE", f"{S}/facts/a/b", None),
    ("DELETE", f"{S}/facts/a?recursive=true", None),
    ("POST", f"{S}/batch", {"operations": [{"put": {"path": "a/b", "value": 5}}]}),
    ("PUT", f"{S}/members/new", {"group": "compute", "ttl": 60}),
    ("PATCH", f"{S}/members/c1", {"state": "ready"}),
    ("DELETE", f"{S}/members/c2", None),
    ("PUT", f"{S}/waiters/new", WAITER),
    ("POST", f"{S}/waiters/w/signal", {"id": "one"}),
    ("PUT", f"{S}/waiters/w/signal", {"id": "two"}),
    ("DELETE", f"{S}/waiters/w", None),
    ("PUT", f"{S}/alarms/new", ALARM),
    ("DELETE", f"{S}/alarms/w", None),
    ("PUT", f"{S}/configurations/c1/new", CONFIGURATION),
    ("PUT", f"{S}/configurations/c1/one/result", RESULT),
    ("POST", f"{S}/configurations/c1/one/signal", {"deploy_status_code": 0}),
    ("PUT", f"{S}/configurations/c1/one/signal", {"deploy_status_code": 1}),
    ("DELETE", f"{S}/configurations/c1/one", None),
    ("POST", f"{S}/grants", {"role": "reader"}),
    ("DELETE", f"{S}/grants/{{grant}}", None),
    ("POST", "/v1/subscriptions", {"target": "https://receiver.example.com/"}),
    ("PATCH", "/v1/subscriptions/{subscription}", {"name": "new"}),
    ("POST", "/v1/subscriptions/{subscription}/test", {}),
    ("POST", "/v1/subscriptions/{subscription}/rotate", {}),
    ("POST", "/v1/subscriptions/{subscription}/replay", {"since": "{here}"}),
)
CONFIRMS: tuple[Request, ...] = (
    ("PUT", S, {"description": "one"}),
    ("PUT", f"{S}/facts/a/b", {"value": 1}),
    ("POST", f"{S}/batch", {"operations": [{"put": {"path": "a/b", "value": 1}}]}),
    ("POST", f"{S}/batch?dry_run=true", {"operations": [{"delete": {"path": "a/b"}}]}),
    ("PUT", f"{S}/waiters/w", WAITER),
    ("PUT", f"{S}/alarms/w", ALARM),
    ("PUT", f"{S}/configurations/c1/one", CONFIGURATION),
    ("POST", "/v1/subscriptions/{subscription}/confirm", {"challenge": "challenge-x"}),
)
"""Requests that write nothing: they state what is so already, or are a dry run."""


class Service:
    """A worker over a database in memory, of which a backup is restored, and two ways to ask it.

    :ivar value: that of the facts which were written last.
    :ivar left: True if the fast path left the last request to the view.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        app = create_app(worker.services, lambda rule, identity, project_id: True)
        self.client: FlaskClient = app.test_client()
        self.fast: FastPath = fast_path(worker, OWNER)
        self.left = False
        self.names: dict[str, str] = {}
        for method, path, body in SETUP:
            status, _, text = self.ask(method, path, body)
            assert status in {200, 201, 202}, (path, text)
            if method == "POST":
                self.names[path.rpartition("/")[2].removesuffix("s")] = json.loads(text)["id"]
        one = json.loads(self.ask("GET", f"{S}/configurations/c1/one")[2])
        self.names["configuration"] = one["id"]
        self._backup = worker.store.refresh(soon()).revision
        self.value = 0

    @property
    def epoch(self) -> str:
        return self.worker.store.state().epoch

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Return the status, the headers and the body of a view's answer."""
        found = self.client.open(
            path, method=method, json=body, environ_overrides={ENVIRON_KEY: OWNER}
        )
        headers = [f"{name}: {value}" for name, value in found.headers if name != "Date"]
        return found.status_code, "\n".join(headers), found.get_data(as_text=True)

    def ask_fast(self, method: str, path: str, body: object = None) -> Answer:
        """Return the answer of the fast path, or of the view to which it leaves the request."""
        text = b"" if body is None else json.dumps(body).encode()
        headers = () if body is None else ("Content-Type: application/json",)
        request = read(request_bytes(method, path, *headers, body=text))
        found: list[Response] = []

        def answered() -> list[Response]:
            self.fast.expire()
            return found

        if self.fast.start(request, found.append, local=True):
            response = eventually(answered)[0]
            assert not isinstance(response, StreamStart)
            parts = response() if callable(response) else response
        else:
            parts = self.fast.serve(request, local=True)
        self.left = parts is None
        if parts is None:
            return self.ask(method, path, body)
        data = parts if isinstance(parts, bytes) else b"".join(parts)
        head, _, content = data.decode().partition("\r\n\r\n")
        lines = [line for line in head.split("\r\n")[1:] if not line.startswith(CHANGING)]
        return int(head.split()[1]), "\n".join(lines), content

    def named(self, text: str) -> str:
        """Return a text with the names of what was made, and with the present cursor."""
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def move_on(self) -> None:
        """Make two revisions that the backup does not have, and name their cursors."""
        for name in ("former", "here"):
            self.value += 1
            status, _, _ = self.ask("PUT", f"{S}/facts/{name}", {"value": self.value})
            assert status in {200, 201}
            self.names[name] = str(self.worker.store.state().cursor)

    def restore(self) -> None:
        """Restore the backup, and return once the worker serves it."""
        worker = self.worker
        backend: Any = worker.backend
        backend.restore(self._backup)
        eventually(lambda: self.epoch == backend.epoch)
        eventually(lambda: worker.hub.revision == worker.store.state().revision)


class Restoration:
    """Restores the backup once, in the middle of a request.

    :param after: the number of moments at which it could happen and does not.
    :ivar done: True once it happened.
    """

    def __init__(self, service: Service, after: int = 0) -> None:
        self._service = service
        self._left = after
        # That of the view, and the one in which reads end on the fast path.
        self._threads = {threading.current_thread().name, "read-index"}
        self.done = False

    @property
    def concerns_this_thread(self) -> bool:
        return threading.current_thread().name in self._threads

    def happen(self) -> None:
        if self.done or not self.concerns_this_thread:
            return
        if self._left:
            self._left -= 1
            return
        self.done = True
        self._service.restore()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    world = MemoryWorld()
    yield Service(world.worker(encryption=sealing_with(make_keys(tmp_path / "keys"))))
    world.close()


@contextmanager
def restored_after_reading(service: Service, reads: int = 1) -> Iterator[Restoration]:
    """Restore the backup once a request has read a state a number of times."""
    restoration = Restoration(service, reads - 1)

    def wrapped(method: Callable[..., object]) -> Callable[..., object]:
        def read_and_restore(*args: object, **more: object) -> object:
            found = method(*args, **more)
            restoration.happen()
            return found

        return read_and_restore

    with pytest.MonkeyPatch.context() as patch:
        for name in METHODS:
            patch.setattr(State, name, wrapped(getattr(State, name)))
        patch.setattr(Hub, "read", wrapped(Hub.read))
        yield restoration


@contextmanager
def restored_after_writing(service: Service) -> Iterator[list[int]]:
    """Restore the backup once the first write of a request is durable; yield its revision."""
    restoration, revisions = Restoration(service), list[int]()
    store = service.worker.store
    commit = store.commit

    def commit_and_restore(transaction: Transaction, deadline: float) -> int | None:
        revision = commit(transaction, deadline)
        if revision is not None and restoration.concerns_this_thread:
            revisions.append(revision)
            restoration.happen()
        return revision

    def start_commit(transaction: Transaction, deadline: float, ended: CommitEnded) -> Mock:
        ended(commit_and_restore(transaction, deadline), None)
        return Mock()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "commit", commit_and_restore)
        patch.setattr(store, "start_commit", start_commit)
        yield revisions


def positions(answer: Answer) -> set[tuple[str, int]]:
    """Return the epochs and revisions of the cursors and entity tags in an answer."""
    found = POSITION.findall(UNRELATED.sub("", f"{answer[1]}\n{answer[2]}"))
    return {(epoch, int(revision)) for epoch, revision in found}


def prepared(service: Service, request: Request) -> Request:
    """Return a request for the present store, which is newer than its backup."""
    service.move_on()
    method, path, body = request
    return method, service.named(path), json.loads(service.named(json.dumps(body)))


READERS = [
    *((Service.ask, "GET", path) for path in READS),
    (Service.ask, "HEAD", f"{S}/facts/a/b"),
    (Service.ask, "HEAD", f"{S}/context"),
    *((Service.ask_fast, "GET", path) for path in FAST_READS),
]


@pytest.mark.parametrize("reads", [1, 2, 3])
def test_a_read_shows_one_store_if_a_backup_is_restored_meanwhile(
    service: Service, reads: int
) -> None:
    with cases() as case:
        for ask, method, path in READERS:
            with case(f"{ask.__name__} {method} {path}"):
                request = prepared(service, (method, path, None))
                service.left = False
                before = ask(service, *request)
                assert (before[0], service.left) == (200, False), before
                assert {epoch for epoch, _ in positions(before)} <= {service.epoch}
                with restored_after_reading(service, reads) as restoration:
                    during = ask(service, *request)
                assert restoration.done or reads > 1
                if not restoration.done:  # it reads the state less often
                    service.restore()
                if during[0] in {410, 503}:  # the client lists again, or repeats the request
                    assert positions(during) == set()
                else:
                    after = [again(service, *request) for again in {ask, Service.ask}]
                    assert during in (before, *after), (before, during)


def test_a_context_of_a_restored_store_is_not_that_of_the_same_revision_before(
    service: Service,
) -> None:
    for number in range(3):
        service.move_on()
        request = prepared(service, ("GET", f"{S}/context?since={{former}}", None))
        found = [service.ask("GET", f"{S}/context"), service.ask(*request)]
        facts = [json.loads(text)["facts"] for _, _, text in found]
        assert facts[0]["here"] == facts[1]["here"] == service.value, number
        service.restore()


WRITERS = [
    *((Service.ask, request) for request in WRITES),
    *(
        (Service.ask_fast, each)
        for each in WRITES
        if each[1] in FAST_WRITES and each[0] != "DELETE"
    ),
]


def test_a_write_names_the_store_that_it_changed_if_a_backup_is_restored_afterwards(
    service: Service,
) -> None:
    with cases() as case:
        for ask, each in WRITERS:
            with case(f"{ask.__name__} {each[0]} {each[1]} {each[2]}"):
                request, epoch = prepared(service, each), service.epoch
                with restored_after_writing(service) as revisions:
                    answer = ask(service, *request)
                assert service.epoch != epoch, answer
                assert answer[0] < 300, answer
                assert {known for known, _ in positions(answer)} <= {epoch}, answer
                assert all(at <= revisions[0] for _, at in positions(answer)), answer
                if "Factstore-Cursor" in answer[1]:
                    assert f"Factstore-Cursor: {epoch}.{revisions[0]}" in answer[1]


def test_a_write_names_one_store_if_a_backup_is_restored_after_its_plan(service: Service) -> None:
    confirms = [(Service.ask, request) for request in CONFIRMS]
    fast = [(Service.ask_fast, each) for each in CONFIRMS if each[1] in FAST_WRITES]
    with cases() as case:
        for ask, each in (*WRITERS, *confirms, *fast):
            with case(f"{ask.__name__} {each[0]} {each[1]} {each[2]}"):
                request, epoch = prepared(service, each), service.epoch
                with restored_after_reading(service) as restoration:
                    answer = ask(service, *request)
                assert restoration.done
                assert answer[0] < 300 or (each[1].endswith("replay") and answer[0] == 410), answer
                named = {known for known, _ in positions(answer)}
                assert named <= {service.epoch} or named <= {epoch}, answer


def test_every_route_with_a_cursor_or_an_entity_tag_is_tried(service: Service) -> None:
    app = service.client.application
    rules = app.url_map.bind("")
    asked = [
        *((method, path) for _, method, path in READERS),
        *((method, path) for method, path, _ in (*WRITES, *CONFIRMS)),
    ]
    tried = set()
    for method, path in asked:
        rule, _ = rules.match(path.partition("?")[0], method, return_rule=True)
        tried.add((method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule.rule))))
    assert list(documented(json.loads(app.extensions[versions.DOCUMENT]("")))) != []
    missing = set(documented(json.loads(app.extensions[versions.DOCUMENT]("")))) - tried
    assert missing == {("GET", "/v1/agent")}, "of a file"


def documented(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the routes whose answers have a cursor or an entity tag."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in {"get", "head", "put", "post", "patch", "delete"}:
                good = [found for code, found in operation["responses"].items() if code[0] in "23"]
                if NAMES & set(names_in(good, document)):
                    yield method.upper(), path


def names_in(found: Any, document: dict[str, Any], seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the names of headers and properties in a part of the document."""
    if isinstance(found, list):
        for each in found:
            yield from names_in(each, document, seen)
    elif isinstance(found, dict):
        reference = found.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            target: Any = document
            for name in reference.removeprefix("#/").split("/"):
                target = target[name]
            yield from names_in(target, document, (*seen, reference))
        for name, value in found.items():
            if name in {"headers", "properties"} and isinstance(value, dict):
                yield from value
            if name not in {"example", "examples"}:
                yield from names_in(value, document, seen)
