"""Regular expressions that are compiled when they are used.

The libraries of the service compile some 600 when they are imported, of which a worker uses few before
it is ready, and most never.  Compiling them takes 70 ms of processor time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def compiled_when_used() -> Iterator[None]:
    """Compile no regular expression of the modules that are imported meanwhile before it is used."""
    module: Any = re
    real = module.compile
    module.compile = lambda pattern, flags=0: _Pattern(real, pattern, flags)
    try:
        yield
    finally:
        module.compile = real


class _Pattern:
    """Stands for a :class:`re.Pattern`, and has all of its attributes from the first use of one."""

    def __init__(self, compile_: Callable[..., Any], pattern: Any, flags: int) -> None:
        self._arguments = pattern, flags
        self._compile = compile_

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # for isinstance()
        return re.Pattern

    def __getattr__(self, name: str) -> Any:
        found = getattr(_compiled(self), name)
        setattr(self, name, found)  # so it is asked for once
        return found

    def __eq__(self, other: object) -> bool:
        return bool(_compiled(self) == _compiled(other))

    def __hash__(self) -> int:
        return hash(_compiled(self))

    def __repr__(self) -> str:
        return repr(_compiled(self))

    def __copy__(self) -> _Pattern:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _Pattern:
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return re.compile, self._arguments


def _compiled(pattern: Any) -> Any:
    """Return a pattern itself; Python keeps those that were compiled last."""
    if type(pattern) is _Pattern:
        return pattern._compile(*pattern._arguments)
    return pattern
