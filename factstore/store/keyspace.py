"""The key layout: the only file that knows it.

Under one root::

    epoch                          names this life of the store
    sentinel                       written to make the watch move
    compactor                      whose turn it is to compact
    stacks/<project>/<name>        a stack's record, with its id S
    data/<project>/<S>/facts/<path>
    data/<project>/<S>/members/<name>         on the member's lease, as its bound facts
    data/<project>/<S>/applied/<member>       on the member's lease; what it has applied
    data/<project>/<S>/waiters/<name>
    data/<project>/<S>/timers/<waiter>        on a lease that ends when the waiter's time is over
    data/<project>/<S>/signals/<waiter>/<hash of the signal's id>
    data/<project>/<S>/marks/dropped          see core/event.Mark
    data/<project>/<S>/grants/<id>            on a lease that ends soon after the grant
    data/<project>/<S>/seals/key              the stack's data key, wrapped; see core/seal
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

from factstore.core.model.record_key import RecordKey, RecordKindName
from factstore.store.record_formats import RECORD_FORMATS

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

ACT_SLOTS = 1024


class KeyRange(NamedTuple):
    """Keys from *start* up to, but without, *end*."""

    start: bytes
    end: bytes


class Named(NamedTuple):
    """What a key names.  *owner* is the project; *name* the stack, or a path; *stack_id* is S."""

    what: Literal[
        "stack",
        "fact",
        "record",
        "act",
        "gate",
        "receipt",
        "purge",
        "epoch",
        "sentinel",
        "compactor",
    ]
    owner: str
    stack_id: str
    name: str
    record_key: RecordKey | None = None


_KINDS: dict[str, RecordKindName] = {made.folder: kind for kind, made in RECORD_FORMATS.items()}


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

    def record(self, project_id: str, stack_id: str, place: RecordKey) -> bytes:
        return f"{self._records(project_id, stack_id, place.kind)}/{place.name}".encode()

    def records(self, project_id: str, stack_id: str, kind: RecordKindName) -> KeyRange:
        return _below(self._records(project_id, stack_id, kind))

    def signals(self, project_id: str, stack_id: str, waiter: str) -> KeyRange:
        return _below(f"{self._records(project_id, stack_id, 'signal')}/{waiter}")

    def act(self, slot: int) -> bytes:
        return f"{self.root}/acts/{slot % ACT_SLOTS:04d}".encode()

    def receipt(self, project_id: str, key: str) -> bytes:
        return f"{self.root}/idem/{_checked(project_id)}/{_checked(key)}".encode()

    def gate(self, project_id: str) -> bytes:
        return f"{self.root}/quotas/{_checked(project_id)}".encode()

    def receipts(self, project_id: str) -> KeyRange:
        return _below(f"{self.root}/idem/{_checked(project_id)}")

    def purge(self, project_id: str, stack_id: str) -> bytes:
        return f"{self.root}/purges/{_checked(project_id)}/{_checked(stack_id)}".encode()

    def purges(self, project_id: str) -> KeyRange:
        return _below(f"{self.root}/purges/{_checked(project_id)}")

    def project(self, project_id: str) -> tuple[KeyRange, ...]:
        """Everything whose key names a project."""
        data = _below(f"{self.root}/data/{_checked(project_id)}")
        beside = self.beside_stacks(project_id)
        return self.stacks(project_id), data, self.purges(project_id), *beside

    def beside_stacks(self, project_id: str) -> tuple[KeyRange, ...]:
        """What a project has that belongs to no stack, and that is of no use without one."""
        gate = self.gate(project_id)
        return self.receipts(project_id), KeyRange(gate, gate + b"\0")

    def read(self, key: bytes) -> Named | None:
        """What a key names, or None for those that no state is made of."""
        parts = key.decode()[len(self.root) + 1 :].split("/", 4)
        match parts:
            case ["stacks", project_id, name]:
                return Named("stack", project_id, "", name)
            case ["data", project_id, stack_id, "facts", path]:
                return Named("fact", project_id, stack_id, path)
            case ["data", project_id, stack_id, folder, name] if folder in _KINDS:
                place = RecordKey(_KINDS[folder], name)
                return Named("record", project_id, stack_id, name, place)
            case ["acts", slot]:
                return Named("act", "", "", slot)
            case ["quotas", project_id]:
                return Named("gate", project_id, "", "")
            case _:
                return None

    def locate(self, key: bytes) -> Named | None:
        """What any key below the root is, bookkeeping included; None if it has no place here.

        Ids are checked, names and paths are not: those have a grammar of their own.
        """
        try:
            named = self._bookkeeping(key) or self.read(key)
            return named if named is not None and self._key(named) == key else None
        except ValueError:  # UnicodeDecodeError is one
            return None

    def _bookkeeping(self, key: bytes) -> Named | None:
        match key.decode()[len(self.root) + 1 :].split("/"):
            case ["epoch"]:
                return Named("epoch", "", "", "")
            case ["sentinel"]:
                return Named("sentinel", "", "", "")
            case ["compactor"]:
                return Named("compactor", "", "", "")
            case ["idem", project_id, name]:
                return Named("receipt", project_id, "", name)
            case ["purges", project_id, stack_id]:
                return Named("purge", project_id, stack_id, "")
            case _:
                return None

    def _key(self, named: Named) -> bytes:
        """The key that *named* was read from, built anew.

        :raises ValueError: an id is none.
        """
        match named.what:
            case "stack":
                return self.stack(named.owner, named.name)
            case "fact":
                return self.fact(named.owner, named.stack_id, named.name)
            case "record":
                assert named.record_key is not None  # noqa: S101 - read() gave it one
                return self.record(named.owner, named.stack_id, named.record_key)
            case "act":
                return self.act(int(named.name))
            case "gate":
                return self.gate(named.owner)
            case "receipt":
                return self.receipt(named.owner, named.name)
            case "purge":
                return self.purge(named.owner, named.stack_id)
            case _:
                return f"{self.root}/{named.what}".encode()

    def _facts(self, project_id: str, stack_id: str) -> str:
        return f"{self._data(project_id, stack_id)}/facts"

    def _records(self, project_id: str, stack_id: str, kind: RecordKindName) -> str:
        return f"{self._data(project_id, stack_id)}/{RECORD_FORMATS[kind].folder}"

    def _data(self, project_id: str, stack_id: str) -> str:
        return f"{self.root}/data/{_checked(project_id)}/{_checked(stack_id)}"


def is_id(text: str) -> bool:
    """Whether it can stand in a key as a project's id or a stack's."""
    return _ID.fullmatch(text) is not None


def _checked(identifier: str) -> str:
    """An id that cannot reach out of its place among the keys.

    :raises ValueError: it could; no id that Keystone or we make can.
    """
    if not is_id(identifier):
        raise ValueError(f"{identifier!r} is not usable as an id in a key")
    return identifier


def _below(folder: str) -> KeyRange:
    return KeyRange(f"{folder}/".encode(), f"{folder}0".encode())
