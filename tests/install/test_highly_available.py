"""The page about a highly available service, run as it is, while a client writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from factstore.client import Client, FactstoreError, Stack
from factstore.cmd.processes.keystone import KeystoneServer
from tests.docs.pages import DOC, ROOT, code
from tests.eventually import eventually

PAGE = "install/highly-available.rst"
MINUTES = 5 * 60.0


class Shell:
    """One shell that runs one block after another; its processes end with it."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self._output = directory / "output"
        self._number = 0
        self._log = self._output.open("wb")
        self._process = subprocess.Popen(
            ["bash", "-e"],
            cwd=directory,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, block: str) -> str:
        """Run a block, and return what it printed."""
        begin, self._number = self._output.stat().st_size, self._number + 1
        end = f"--- block {self._number} ---"
        assert self._process.stdin is not None
        self._process.stdin.write(f"{block}\necho '{end}'\n".encode())
        self._process.stdin.flush()

        def ended() -> bool:
            assert self._process.poll() is None, self.printed(begin)
            return end in self.printed(begin)

        eventually(ended, MINUTES, 0.1)
        return self.printed(begin).partition(end)[0]

    def printed(self, begin: int = 0) -> str:
        """Return what was printed since a position."""
        return self._output.read_bytes()[begin:].decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.close()


class Writer:
    """A client that retries, and writes without a pause until it is stopped."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopped = threading.Event()
        self._error: FactstoreError | None = None
        self._thread = threading.Thread(target=self._write)
        self.written = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(60)
        if kind is None:
            assert self._error is None
            assert not self._thread.is_alive()

    def _write(self) -> None:
        try:
            while not self._stopped.is_set():
                self._stack.put("load", self.written + 1)
                self.written += 1
        except FactstoreError as error:
            self._error = error


@pytest.fixture
def blocks() -> Iterator[str]:
    """The blocks of the page, in order."""
    return iter(code(PAGE, "shell"))


def test_a_highly_available_service_is_installed_upgraded_and_restored(
    keystone: KeystoneServer, tmp_path: Path, blocks: Iterator[str]
) -> None:
    titles = titles_of_blocks()
    openrc = tmp_path / "openrc"
    keystone.accounts.write_openrc(openrc, "admin")
    environ = {name: text for name, text in os.environ.items() if not name.startswith("OS_")}
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    environ |= {"PATH": programs, "HOME": str(tmp_path), "SOURCE": str(ROOT)}
    with Shell(tmp_path, environ) as shell:
        # The lab Keystone knows the service already.
        shell.run(
            f". {openrc}\nopenstack service delete factstore\nopenstack user delete factstore"
        )
        printed = dict.fromkeys(titles, "")
        for title in titles:
            block = next(blocks)
            if title != "Upgrade":
                printed[title] += shell.run(block)
                continue
            session = keystone.accounts.session("owner")
            session.verify = str(tmp_path / "factstore-lab" / "ca.pem")
            client_stack = Client(session).stack("load")
            with Writer(client_stack) as writer:
                eventually(lambda: writer.written)
                before = writer.written
                printed[title] += shell.run(block)
            assert writer.written > before
            assert client_stack.get("load").value == writer.written
        assert "works\n" in printed["Verify operation"]
        assert printed["Restore"].endswith("works without m1 and node 1\n")


def titles_of_blocks() -> list[str]:
    """Return the title above each block of the page."""
    found, title, former = [], "", ""
    for line in (DOC / PAGE).read_text().splitlines():
        if former and line == "=" * len(former):
            title = former
        elif line == ".. code-block:: shell":
            found.append(title)
        former = line
    return found
