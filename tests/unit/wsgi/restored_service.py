"""A service whose store is replaced by another backup while it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from factstore.api.app import create_app
from factstore.api.identity import ENVIRON_KEY
from factstore.core.model.transaction import Transaction
from factstore.core.ports import CommitEnded
from factstore.core.state.state import State
from factstore.watch.hub import Hub
from factstore.wsgi.fast_path.fast_path import FastPath, Response
from factstore.wsgi.fast_path.stream_answer import StreamStart
from tests.contract.world import Worker, soon
from tests.eventually import eventually
from tests.raw_http import request_bytes
from tests.unit.wsgi.fast_requests import OWNER, fast_path, read
from tests.unit.wsgi.restored_requests import SETUP, Request, S

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
CHANGING = ("Date:", "X-Openstack-Request-Id:", "x-openstack-request-id:")
"""The headers that differ between two equal answers."""
Answer = tuple[int, str, str]


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
        eventually(lambda: worker.hub.cursor == worker.store.state().cursor)


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


def prepared(service: Service, request: Request) -> Request:
    """Return a request for the present store, which is newer than its backup."""
    service.move_on()
    method, path, body = request
    return method, service.named(path), json.loads(service.named(json.dumps(body)))
