"""The views of ``openstack fact`` in a terminal, and in a pipe: the real command as a process."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator

import pytest

from factstore.client import Put, Stack
from tests.commands import program
from tests.eventually import eventually
from tests.service import ApiServer

# The terminal is that of the command. Tests in the background ignore the signal of Ctrl-C; it does not.
FOREGROUND = ("env", "--default-signal=INT", "setsid", "--ctty")


def soon(condition: Callable[[], bool]) -> None:
    """Wait for a condition, on a machine that other tests keep busy."""
    eventually(condition)


class Terminal:
    """A terminal in which a command runs."""

    def __init__(self, ours: int, process: subprocess.Popen[bytes]) -> None:
        self._ours = ours
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character
        self.process = process
        self.received = ""

    def shows(self, pattern: str) -> bool:
        """Read what the command has printed, and return True if its last view matches."""
        with contextlib.suppress(BlockingIOError, OSError):
            self.received += self._decoder.decode(os.read(self._ours, 65536))
        return re.search(pattern, self.view, re.DOTALL) is not None

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the terminal."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def view(self) -> str:
        """The text printed since the terminal was last cleared, without escape sequences."""
        last = re.split(r"\x1b\[[JK]", self.received)[-1]
        return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", last)


@contextlib.contextmanager
def terminal(url: str, *arguments: str) -> Iterator[Terminal]:
    """Run a command of OpenStackClient in a terminal."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    process = subprocess.Popen(
        [*FOREGROUND, *program("openstackclient.shell"), *arguments],
        env=environ(url),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        screen = Terminal(ours, process)
        screen.resize(30, 100)
        yield screen
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def environ(url: str) -> dict[str, str]:
    # COLUMNS and LINES, which tox sets, would count more than the size of the terminal.
    unwanted = re.compile(r"OS_|COLUMNS$|LINES$")
    kept = {name: value for name, value in os.environ.items() if not unwanted.match(name)}
    service = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": url, "OS_CLIENT_CONFIG_FILE": "/nonexistent"}
    return {**kept, **service}


def test_the_watch_of_a_terminal_is_a_table_that_changes(
    stack: Stack, one_worker: ApiServer
) -> None:
    stack.batch([Put("nodes/c1/ip", "10.0.0.11"), Put("evil", "\x1b]0;title\x07")])
    with terminal(one_worker.url, "fact", "watch", stack.name) as screen:
        soon(lambda: screen.shows(r"2 facts.*nodes/c1/ip +10\.0\.0\.11"))
        stack.member("c2").join("compute", ttl=300)
        stack.put("nodes/c2/ip", "10.0.0.12")
        soon(lambda: screen.shows(r"3 facts.*fact\.put nodes/c2/ip.*c2 +compute +joining"))
        assert screen.view.count("nodes/c1/ip") == 1
        assert "\x1b]0" not in screen.received
        screen.resize(5, 40)
        soon(lambda: screen.shows(r"3 facts, 1.*…") and screen.view.count("\n") <= 5)
        assert max(map(len, screen.view.splitlines())) <= 40
        screen.process.send_signal(signal.SIGINT)
        assert screen.process.wait(60) == 130
        screen.shows("")
        assert screen.received.endswith("\x1b[?7h")
        assert "Traceback" not in screen.received


def test_the_wait_of_a_terminal_shows_progress_and_ends_quietly_on_an_interrupt(
    stack: Stack, one_worker: ApiServer
) -> None:
    stack.put("nodes/c1/state", "up")
    wait = ("fact", "wait", stack.name, "nodes/*/state", "--equals", "up", "--count", "3")
    with terminal(one_worker.url, *wait) as screen:
        soon(lambda: screen.shows(r"\[######\.+\] 1/3  missing: nodes/\*/state"))
        stack.put("nodes/c2/state", "up")
        soon(lambda: screen.shows(r"\] 2/3  missing"))
        screen.process.send_signal(signal.SIGINT)
        assert screen.process.wait(60) == 130
        screen.shows("")
        assert screen.received.endswith("\r\x1b[K")
        assert "Traceback" not in screen.received
    assert list(stack.waiters()) == []


def test_a_watch_ends_when_nobody_reads_its_lines(stack: Stack, one_worker: ApiServer) -> None:
    stack.put("a", 1)
    watch = shlex.join([*program("openstackclient.shell"), "fact", "watch", "--initial"])
    script = f"{{ {watch} {stack.name}; echo $? >&2; }} | head -1"
    done = subprocess.run(
        ["bash", "-c", script], env=environ(one_worker.url), capture_output=True, timeout=60
    )
    assert json.loads(done.stdout)["snapshot"]["facts"][0]["path"] == "a"
    assert done.stderr.endswith(b"141\n")
    assert b"Traceback" not in done.stderr


def test_a_batch_is_read_in_any_locale(stack: Stack, one_worker: ApiServer) -> None:
    value = "gr\xf6\xdfe \u2713"
    batch = json.dumps({"operations": [{"put": {"path": "a", "value": value}}]}, ensure_ascii=False)
    done = subprocess.run(
        [*program("openstackclient.shell"), "fact", "batch", stack.name, "--file", "-"],
        env={**environ(one_worker.url), "PYTHONIOENCODING": "ascii"},
        input=batch.encode(),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert stack.get("a").value == value


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", "gr\xf6\xdfe \u2713".encode()), ("latin-1", b"gr\xf6\xdfe \\u2713")],
)
def test_a_value_is_shown_in_any_locale(
    stack: Stack, one_worker: ApiServer, encoding: str, shown: bytes
) -> None:
    stack.put("a", "gr\xf6\xdfe \u2713")
    command = [*program("openstackclient.shell"), "fact", "get", stack.name, "a", "-c", "value"]
    done = subprocess.run(
        [*command, "-f", "value"],
        env={**environ(one_worker.url), "PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=60,
    )
    assert done.stdout.rstrip(b"\n") == shown, done.stderr


def test_a_pipe_receives_lines_of_json_and_nothing_else(
    stack: Stack, one_worker: ApiServer
) -> None:
    stack.put("a", 1)
    with subprocess.Popen(
        [*program("openstackclient.shell"), "fact", "watch", stack.name, "--initial"],
        env=environ(one_worker.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as watch:
        assert watch.stdout is not None
        assert [f["path"] for f in json.loads(watch.stdout.readline())["snapshot"]["facts"]] == [
            "a"
        ]
        stack.put("b", 2)
        assert json.loads(watch.stdout.readline())["changes"][0]["fact"]["value"] == 2
        stack.delete_stack()
        rest, errors = watch.communicate(timeout=60)
    assert json.loads(rest)["changes"][0]["type"] == "stack.delete"
    assert watch.returncode == 0
    assert b"Traceback" not in errors
