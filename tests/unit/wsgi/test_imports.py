from __future__ import annotations

import gevent
import gevent.socket
import pytest

from factstore.wsgi import imports

CALLS = 20  # of etcd, one after another; a worker that starts makes a dozen


def test_answers_arrive_between_the_imports_of_a_worker_that_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imports.time, "sleep", gevent.sleep)  # as gevent patches it in a worker
    etcd, worker = gevent.socket.socketpair()
    answers: list[bytes] = []

    def answer() -> None:
        while etcd.recv(1):
            etcd.send(b"!")

    def ask() -> None:
        for _ in range(CALLS):
            worker.send(b"?")
            answers.append(worker.recv(1))

    with etcd, worker:
        tasks = [gevent.spawn(answer), gevent.spawn(ask)]
        imports.import_while_reading()
        assert len(answers) == CALLS
        gevent.killall(tasks)
