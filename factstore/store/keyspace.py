"""The key layout: the only file that knows it.

Under one root::

    epoch                          names this life of the store
    sentinel                       written to make the watch move
    compactor                      whose turn it is to compact
    stacks/<project>/<name>        a stack's record, with its id S
    data/<project>/<S>/facts/<path>
    acts/<slot>                    who made the deletions of this revision
    idem/<project>/<key>           receipts
    purges/<project>/<S>           a deleted stack whose data is still to be swept
    quotas/<project>               passed by writes that come near a quota of the project

``0`` comes right after ``/``, so the keys below a folder are the range from ``<folder>/`` to
``<folder>0``; ``<folder>-x`` and ``<folder>.x`` sort before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

ACT_SLOTS = 1024


class KeyRange(NamedTuple):
    """Keys from *start* up to, but without, *end*."""

    start: bytes
    end: bytes


class Named(NamedTuple):
    """What a key names.  *owner* is the project; *name* the stack, or a path; *stack_id* is S."""

    what: Literal["stack", "fact", "act", "gate"]
    owner: str
    stack_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Keyspace:
    """Builds and reads keys below *root*, which ends without a slash."""

    root: str

    @property
    def everything(self) -> KeyRange:
        return _below(self.root)

    @property
    def epoch(self) -> bytes:
        return f"{self.root}/epoch".encode()

    @property
    def sentinel(self) -> bytes:
        return f"{self.root}/sentinel".encode()

    @property
    def compactor(self) -> bytes:
        return f"{self.root}/compactor".encode()

    @property
    def all_stacks(self) -> KeyRange:
        return _below(f"{self.root}/stacks")

    @property
    def all_data(self) -> KeyRange:
        return _below(f"{self.root}/data")

    @property
    def all_gates(self) -> KeyRange:
        return _below(f"{self.root}/quotas")

    @property
    def all_purges(self) -> KeyRange:
        return _below(f"{self.root}/purges")

    def stack(self, project_id: str, name: str) -> bytes:
        return f"{self.root}/stacks/{_checked(project_id)}/{name}".encode()

    def stacks(self, project_id: str) -> KeyRange:
        return _below(f"{self.root}/stacks/{_checked(project_id)}")

    def data(self, project_id: str, stack_id: str) -> KeyRange:
        return _below(f"{self.root}/data/{_checked(project_id)}/{_checked(stack_id)}")

    def fact(self, project_id: str, stack_id: str, path: str) -> bytes:
        return f"{self._facts(project_id, stack_id)}/{path}".encode()

    def facts(self, project_id: str, stack_id: str, folder: str = "") -> KeyRange:
        base = self._facts(project_id, stack_id)
        return _below(f"{base}/{folder}" if folder else base)

    def act(self, slot: int) -> bytes:
        return f"{self.root}/acts/{slot % ACT_SLOTS:04d}".encode()

    def receipt(self, project_id: str, key: str) -> bytes:
        return f"{self.root}/idem/{_checked(project_id)}/{_checked(key)}".encode()

    def gate(self, project_id: str) -> bytes:
        return f"{self.root}/quotas/{_checked(project_id)}".encode()

    def purge(self, project_id: str, stack_id: str) -> bytes:
        return f"{self.root}/purges/{_checked(project_id)}/{_checked(stack_id)}".encode()

    def read_purge(self, key: bytes) -> tuple[str, str]:
        """The project and the stack id that a purge key names."""
        _, project_id, stack_id = key.decode()[len(self.root) + 1 :].split("/")
        return project_id, stack_id

    def read(self, key: bytes) -> Named | None:
        """What a key names, or None for those that no state is made of."""
        parts = key.decode()[len(self.root) + 1 :].split("/", 4)
        match parts:
            case ["stacks", project_id, name]:
                return Named("stack", project_id, "", name)
            case ["data", project_id, stack_id, "facts", path]:
                return Named("fact", project_id, stack_id, path)
            case ["acts", slot]:
                return Named("act", "", "", slot)
            case ["quotas", project_id]:
                return Named("gate", project_id, "", "")
            case _:
                return None

    def _facts(self, project_id: str, stack_id: str) -> str:
        return f"{self.root}/data/{_checked(project_id)}/{_checked(stack_id)}/facts"


def _checked(identifier: str) -> str:
    """An id that cannot reach out of its place among the keys.

    :raises ValueError: it could; no id that Keystone or we make can.
    """
    if not _ID.fullmatch(identifier):
        raise ValueError(f"{identifier!r} is not usable as an id in a key")
    return identifier


def _below(folder: str) -> KeyRange:
    return KeyRange(f"{folder}/".encode(), f"{folder}0".encode())
