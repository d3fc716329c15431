"""The page about a highly available service, run as it is, while a client writes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from factstore.client import Client, FactstoreError, Stack
from factstore.cmd.processes.keystone import KeystoneServer
from tests.docs.pages import ROOT, code
from tests.docs.shell import Shell, titles_of_blocks
from tests.eventually import eventually

PAGE = "install/highly-available.rst"


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
    titles = titles_of_blocks(PAGE, "shell")
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
