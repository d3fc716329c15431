"""The facts of a stack that a caller may read, and the refusal of a request for one that is missing."""

from __future__ import annotations

from collections.abc import Iterator

from factstore.core.errors import NotFound
from factstore.core.model.counts import counted
from factstore.core.model.fact import Scope
from factstore.core.model.path import quoted
from factstore.core.model.permissions import Permissions
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State


def readable_paths(
    stack_state: StackState, prefix: str, after: str, permissions: Permissions
) -> Iterator[str]:
    """Yield the paths at and below a path, after a path, that the caller may read, in order."""
    hidden = True
    while hidden:
        hidden = False
        for path in stack_state.covered(prefix, after):
            if not permissions.can_read(path):  # so are many after it
                hidden, after = True, permissions.after_hidden(path)
                break
            yield path


def fact_missing(state: State, scope: Scope, path: str, permissions: Permissions) -> NotFound:
    """Return the refusal of a request about a fact that does not exist, which may be a folder."""
    with state.read():
        contents = state.stack_state(scope)
        folder = permissions.readable_folder(path)
        below = contents.count_below(folder) if contents is not None and folder else 0
    if below:
        return NotFound(
            f"{quoted(path)} is not a fact but a folder with {counted(below, 'fact')} below it; "
            f"list the facts with the prefix {path}, or name one of them."
        )
    return NotFound(f"There is no fact at {quoted(path)} in a stack named {quoted(scope.stack)}.")
