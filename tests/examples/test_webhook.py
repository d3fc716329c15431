"""The receiver in examples/webhook confirms challenges, and uses only messages that are signed."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.core.model.target import Target
from factstore.notify.deadline import Deadline
from factstore.notify.host_slots import HostSlots
from factstore.notify.messages import CHANGE, CloudEvent, Message, challenge, is_confirmed
from factstore.notify.targets import sender
from factstore.notify.targets.base import Outcome, Surroundings
from factstore.notify.web_client import WebClient
from tests.contract.notifiers import NoCloud
from tests.eventually import eventually

RECEIVER = Path(__file__).parents[2] / "examples" / "webhook" / "receiver.py"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def test_it_prints_each_signed_event_once() -> None:
    port = free_port()
    web = WebClient(
        lambda host, port, seconds: [LOOPBACK], lambda address: None, ssl.create_default_context()
    )
    surroundings = Surroundings(web, NoCloud(), HostSlots(1), time.time, allow_http=True)
    target = Target.parse(f"http://receiver.example:{port}/", allow_http=True)

    def send(message: Message, secret: str = SECRET) -> Outcome:
        webhook = sender(target, "project", surroundings)
        try:
            return webhook.send(message, [secret], Deadline(30))
        finally:
            webhook.close()

    change = CloudEvent(CHANGE, "s.1", "/v1/stacks/web", '{"cursor": "c", "changes": []}')
    last = CloudEvent(CHANGE, "s.2", "/v1/stacks/web", '{"cursor": "d", "changes": []}')
    with subprocess.Popen(
        [sys.executable, RECEIVER, str(port)],
        env={"SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as receiver:
        try:
            eventually(lambda: listens(port))
            assert is_confirmed(send(Message((challenge("s", "token"),))).body, "token")
            assert send(Message((change,)), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").status == 401
            one, two = Message((change,)), Message((last,), batch=True)
            for message in one, one, two, one, two:  # as after a notifier was killed
                assert send(message).error is None
        finally:
            receiver.kill()
        assert receiver.stdout is not None
        lines = [line for line in receiver.stdout if line.startswith(CHANGE)]
    assert [line.split(" ", 2)[2] for line in lines] == [f"{change.data}\n", f"{last.data}\n"]
