"""The services that several parts share; each is started when a part first needs it."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Self

from bench.lab import Lab


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
    def unguarded(self) -> Lab:
        """The service without authentication and limits."""
        return self._stack.enter_context(Lab())

    @cached_property
    def guarded(self) -> Lab:
        """The service with Keystone and without limits."""
        return self._stack.enter_context(Lab(keystone=True))
