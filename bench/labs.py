"""The services that several parts share; each is started when a part first needs it."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from bench.lab import PATIENCE, Lab
from factstore.cmd.processes.keystone import KeystoneServer


class Labs:
    """Context manager for services that are stopped at its end."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @cached_property
    def keystone(self) -> KeystoneServer:
        """The Keystone of all services; its catalog names the one that was started last."""
        state = self._stack.enter_context(TemporaryDirectory(prefix="factstore-bench-"))
        server = KeystoneServer(Path(state))
        self._stack.callback(server.kill)
        server.prepare(PATIENCE)
        server.start()
        server.wait_ready(PATIENCE)
        return server

    @cached_property
    def unguarded(self) -> Lab:
        """The service without authentication and limits."""
        return self._stack.enter_context(Lab())

    @cached_property
    def guarded(self) -> Lab:
        """The service with Keystone and without limits."""
        return self._stack.enter_context(Lab(keystone=self.keystone))

    @cached_property
    def limited(self) -> Lab:
        """The service with Keystone and the limits of the default configuration."""
        return self._stack.enter_context(Lab(keystone=self.keystone, limits={}))
