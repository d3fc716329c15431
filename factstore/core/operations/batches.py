"""The limits of a batch, and the facts that the prefixes in it stand for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from factstore.core.errors import Forbidden, Invalid, TooLarge
from factstore.core.model.fact import Author, Delete, DeletePrefix, Put
from factstore.core.model.path import covers, quoted
from factstore.core.model.precondition import Precondition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.operations.operation import View

BATCH_OPERATIONS = 100  # operations and guards together; etcd takes 128 compares in one transaction
BATCH_BYTES = 1024 * 1024  # etcd takes 1.5 MiB in one request


def check_batch(
    guards: Sequence[tuple[str, Precondition]], requests: Sequence[Put | Delete | DeletePrefix]
) -> None:
    """Refuse a batch that no state could accept.

    :raises Invalid: ``batch_empty`` or ``batch_duplicate_path``.
    :raises TooLarge: ``batch_too_large``.
    """
    if not requests:
        raise Invalid("The batch has no operations; send at least one.", code="batch_empty")
    if len(guards) + len(requests) > BATCH_OPERATIONS:
        raise TooLarge(
            f"The batch has {len(guards) + len(requests)} guards and operations; "
            f"at most {BATCH_OPERATIONS} are allowed together.",
            code="batch_too_large",
        )
    size = sum([len(put.text) + len(put.path) for put in requests if isinstance(put, Put)])
    if size > BATCH_BYTES:
        raise TooLarge(
            f"The batch's values and paths are {size} characters as canonical JSON; "
            f"at most {BATCH_BYTES} are allowed together.",
            code="batch_too_large",
        )
    paths = [request.path for request in requests if not isinstance(request, DeletePrefix)]
    if len(set(paths)) < len(paths):
        twice = next(path for at, path in enumerate(paths) if path in paths[:at])
        raise Invalid(
            f"Two operations name {quoted(twice)}; a batch changes a path once.",
            code="batch_duplicate_path",
        )
    if len(paths) == len(requests):
        return
    prefixes = [request.path for request in requests if isinstance(request, DeletePrefix)]
    prefixes.sort(key=lambda prefix: prefix.split("/"))
    for outer, inner in pairwise(prefixes):
        if covers(outer, inner):
            raise Invalid(
                f"Two operations delete the prefix {quoted(inner)}; leave one of them out.",
                code="batch_duplicate_path",
            )


@quick_dataclass(frozen=True, slots=True)
class Expansion:
    """The facts that a prefix stands for in one write.

    :param more: True if others are left for another write.
    """

    paths: tuple[str, ...]
    more: bool = False


def expand(
    view: View, requests: Sequence[Put | Delete | DeletePrefix], guards: int, author: Author
) -> dict[DeletePrefix, Expansion]:
    """Return the facts of each prefix, without those that another operation of the batch names.

    :param guards: the number of guards of the batch.
    :raises TooLarge: ``batch_too_large``: with the facts, the batch has too many operations.
    :raises Forbidden: ``parameter_protected``.
    """
    named = {each.path for each in requests if not isinstance(each, DeletePrefix)}
    expansions = {}
    count = guards + len(requests)
    for request in requests:
        if not isinstance(request, DeletePrefix):
            continue
        paths = [path for path in view.covered(request.path) if path not in named]
        if not request.itself and paths[:1] == [request.path]:
            del paths[0]
        if not author.may_set_parameters:  # judged before the first piece
            for path in paths:
                fact = view.fact(path)
                if fact is not None and fact.kind == "parameter":
                    raise parameter_protected(path)
        if request.in_pieces:
            expansions[request] = _piece(view, paths)
        else:
            expansions[request] = Expansion(tuple(paths))
            count += len(paths)
    if count > BATCH_OPERATIONS:
        raise TooLarge(
            f"With the facts that it deletes by prefix, the batch has {count} guards and operations; "
            f"at most {BATCH_OPERATIONS} are allowed together. Delete the folder with DELETE and "
            "recursive=true instead, which takes several revisions.",
            code="batch_too_large",
        )
    return expansions


def _piece(view: View, paths: Sequence[str]) -> Expansion:
    """Return as many of the paths as one write deletes: an event contains the former values."""
    # Of each deleted fact, the stack may keep the value.
    most, size = BATCH_OPERATIONS // (2 if view.stack.keep_values else 1), 0
    for number, path in enumerate(paths):
        fact = view.fact(path)
        size += fact.size if fact else 0
        if number == most or (number and size > BATCH_BYTES):
            return Expansion(tuple(paths[:number]), more=True)
    return Expansion(tuple(paths))


def parameter_protected(path: str) -> Forbidden:
    """Return the refusal of a change of a parameter by another caller than an owner."""
    return Forbidden(
        f"{quoted(path)} is, or would become, a parameter; only the stack's owners set parameters.",
        code="parameter_protected",
    )
