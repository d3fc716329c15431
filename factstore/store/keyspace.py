"""The layout of keys, which no other module knows.

All keys are below one root, and the ids of leases begin with bits of its hash::

    epoch                          the random id of the store
    sentinel                       written to make the watch report a revision
    compactor                      the turn and the revision of the last compaction
    followed                       the revision up to which a worker has seen all changes
    stacks/<project>/<name>        the record of a stack, with its id S
    data/<project>/<S>/facts/<path>
    data/<project>/<S>/<folder>/<name>        other records; record_formats.py lists their folders
    acts/<slot>                    the author of the deletions of this revision
    idem/<project>/<key>           a receipt of an earlier version, outside its stack
    fences/<slot>                  a fence of attempts; see attempt_fence.py
    workers/<id>                   the entry of a worker in the roll; see roll.py
    purges/<project>/<S>           a deleted stack whose data are still to be deleted
    projects/<project>/<folder>/<name>        records of a project outside its stacks
    service/<folder>/<name>        records that belong to no project
    quotas/<project>               written only by earlier versions; ignored

``0`` comes right after ``/``, so the keys below a folder are the range from ``<folder>/`` to
``<folder>0``; ``<folder>-x`` and ``<folder>.x`` sort before it.

The module is longer than 300 lines because no other one may know keys.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from factstore.core.model.pulse import has_pulse
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.unnamed import project_of_unnamed, unnamed_stack
from factstore.core.model.waiter import Signal
from factstore.store.record_formats import RECORD_FORMATS

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

DELETION_AUTHOR_SLOTS = 1024
FENCE_SLOTS = 256
_LEASE_BITS = 40  # of 63; a generation is named by its lease, so ids are not used twice


class KeyRange(NamedTuple):
    """Keys from *start* up to, but without, *end*."""

    start: bytes
    end: bytes


class ParsedKey(NamedTuple):
    """The parts of a key.  *name* is that of the stack, or the path of a fact; *stack_id* is S."""

    type: Literal[
        "stack",
        "fact",
        "record",
        "act",
        "fence",
        "worker",
        "legacy",
        "receipt",
        "purge",
        "epoch",
        "sentinel",
        "compactor",
        "followed",
    ]
    project_id: str
    stack_id: str
    name: str
    record_key: RecordKey | None = None


_KINDS: dict[tuple[str, str], type[Record]] = {
    (place, row.folder): kind for kind, row in RECORD_FORMATS.items() for place in row.places
}


@dataclass(frozen=True, slots=True)
class Keyspace:
    """Builds and parses keys below *root*, which has no slash at the end."""

    root: str

    @property
    def everything(self) -> KeyRange:
        return _range_below(self.root)

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
    def followed(self) -> bytes:
        return f"{self.root}/followed".encode()

    @property
    def all_stacks(self) -> KeyRange:
        return _range_below(f"{self.root}/stacks")

    @property
    def all_data(self) -> KeyRange:
        return _range_below(f"{self.root}/data")

    @property
    def all_unnamed(self) -> tuple[KeyRange, KeyRange]:
        return _range_below(f"{self.root}/projects"), _range_below(f"{self.root}/service")

    @property
    def all_legacy(self) -> KeyRange:
        return _range_below(f"{self.root}/quotas")

    @property
    def all_acts(self) -> KeyRange:
        return _range_below(f"{self.root}/acts")

    @property
    def all_receipts(self) -> KeyRange:
        return _range_below(f"{self.root}/idem")

    @property
    def all_workers(self) -> KeyRange:
        return _range_below(f"{self.root}/workers")

    @property
    def all_purges(self) -> KeyRange:
        return _range_below(f"{self.root}/purges")

    def stack(self, project_id: str, name: str) -> bytes:
        return f"{self.root}/stacks/{_valid_id(project_id)}/{name}".encode()

    def stacks(self, project_id: str) -> KeyRange:
        return _range_below(f"{self.root}/stacks/{_valid_id(project_id)}")

    def data(self, project_id: str, stack_id: str) -> KeyRange:
        return _range_below(f"{self.root}/data/{_valid_id(project_id)}/{_valid_id(stack_id)}")

    def fact(self, project_id: str, stack_id: str, path: str) -> bytes:
        return f"{self._facts(project_id, stack_id)}/{path}".encode()

    def facts(self, project_id: str, stack_id: str, folder: str = "") -> KeyRange:
        base = self._facts(project_id, stack_id)
        return _range_below(f"{base}/{folder}" if folder else base)

    def record(self, project_id: str, stack_id: str, key: RecordKey) -> bytes:
        return f"{self._records(project_id, stack_id, key.kind)}/{key.name}".encode()

    def records(self, project_id: str, stack_id: str, kind: type[Record]) -> KeyRange:
        return _range_below(self._records(project_id, stack_id, kind))

    def signals(self, project_id: str, stack_id: str, waiter: str) -> KeyRange:
        return _range_below(f"{self._records(project_id, stack_id, Signal)}/{waiter}")

    def act(self, slot: int) -> bytes:
        return f"{self.root}/acts/{slot % DELETION_AUTHOR_SLOTS:04d}".encode()

    def fence(self, slot: int) -> bytes:
        return f"{self.root}/fences/{slot % FENCE_SLOTS:03d}".encode()

    def worker(self, identifier: str) -> bytes:
        return f"{self.root}/workers/{_valid_id(identifier)}".encode()

    def receipt(self, project_id: str, key: str) -> bytes:
        return f"{self.root}/idem/{_valid_id(project_id)}/{_valid_id(key)}".encode()

    def legacy(self, project_id: str) -> bytes:
        return f"{self.root}/quotas/{_valid_id(project_id)}".encode()

    def receipts(self, project_id: str) -> KeyRange:
        return _range_below(f"{self.root}/idem/{_valid_id(project_id)}")

    def purge(self, project_id: str, stack_id: str) -> bytes:
        return f"{self.root}/purges/{_valid_id(project_id)}/{_valid_id(stack_id)}".encode()

    @property
    def _lease_tag(self) -> int:
        """The first bits of leases' ids, which other clients do not use."""
        return int.from_bytes(hashlib.sha256(self.root.encode()).digest()[:3]) >> 1

    def new_lease(self) -> int:
        """Return an id for a new lease."""
        return self._lease_tag << _LEASE_BITS | secrets.randbits(_LEASE_BITS - 1) << 1 | 1

    def is_own_lease(self, lease: int) -> bool:
        """Return True if an id is one that is made for the leases of this root."""
        return lease >> _LEASE_BITS == self._lease_tag and (lease & 1 == 1 or has_pulse(lease))

    def purges(self, project_id: str) -> KeyRange:
        return _range_below(f"{self.root}/purges/{_valid_id(project_id)}")

    def project(self, project_id: str) -> tuple[KeyRange, ...]:
        """Return the ranges of all keys that contain the id of a project."""
        data = _range_below(f"{self.root}/data/{_valid_id(project_id)}")
        outside = self.outside_stacks(project_id)
        return self.stacks(project_id), data, self.purges(project_id), *outside

    def outside_stacks(self, project_id: str) -> tuple[KeyRange, ...]:
        """Return the ranges of the keys of a project that belong to no stack."""
        legacy = self.legacy(project_id)
        records = _range_below(f"{self.root}/projects/{_valid_id(project_id)}")
        return self.receipts(project_id), records, KeyRange(legacy, legacy + b"\0")

    def parse(self, key: bytes) -> ParsedKey | None:
        """Return the parts of a key, or None if the key is not part of the state."""
        parts = key.decode()[len(self.root) + 1 :].split("/", 4)
        match parts:
            case ["stacks", project_id, name]:
                return ParsedKey("stack", project_id, "", name)
            case ["data", project_id, stack_id, "facts", path]:
                return ParsedKey("fact", project_id, stack_id, path)
            case ["data", project_id, stack_id, folder, name] if ("stack", folder) in _KINDS:
                record_key = RecordKey(_KINDS["stack", folder], name)
                return ParsedKey("record", project_id, stack_id, name, record_key)
            case ["projects", project_id, folder, name] if ("project", folder) in _KINDS:
                return _of_unnamed(project_id, RecordKey(_KINDS["project", folder], name))
            case ["service", folder, name] if ("service", folder) in _KINDS:
                return _of_unnamed("", RecordKey(_KINDS["service", folder], name))
            case ["acts", slot]:
                return ParsedKey("act", "", "", slot)
            case _:
                return None

    def parse_strict(self, key: bytes) -> ParsedKey | None:
        """Return the parts of any key below the root, or None if this version never writes the key.

        Ids are checked.  Names and paths are not, because they have a grammar of their own.
        """
        try:
            parsed = self._parse_internal(key) or self.parse(key)
            return parsed if parsed is not None and self._build(parsed) == key else None
        except ValueError:  # UnicodeDecodeError is one
            return None

    def _parse_internal(self, key: bytes) -> ParsedKey | None:
        match key.decode()[len(self.root) + 1 :].split("/"):
            case [("epoch" | "sentinel" | "compactor" | "followed") as name]:
                return ParsedKey(name, "", "", "")
            case ["fences", slot]:
                return ParsedKey("fence", "", "", slot)
            case ["workers", identifier]:
                return ParsedKey("worker", "", "", identifier)
            case ["idem", project_id, name]:
                return ParsedKey("receipt", project_id, "", name)
            case ["purges", project_id, stack_id]:
                return ParsedKey("purge", project_id, stack_id, "")
            case ["quotas", project_id]:
                return ParsedKey("legacy", project_id, "", "")
            case _:
                return None

    def _build(self, parsed: ParsedKey) -> bytes:
        """Build a key from its parts.

        :raises ValueError: an id is not valid.
        """
        match parsed.type:
            case "stack":
                return self.stack(parsed.project_id, parsed.name)
            case "fact":
                return self.fact(parsed.project_id, parsed.stack_id, parsed.name)
            case "record":
                assert parsed.record_key is not None  # noqa: S101 - set by parse()
                return self.record(parsed.project_id, parsed.stack_id, parsed.record_key)
            case "act":
                return self.act(int(parsed.name))
            case "fence":
                return self.fence(int(parsed.name))
            case "worker":
                return self.worker(parsed.name)
            case "legacy":
                return self.legacy(parsed.project_id)
            case "receipt":
                return self.receipt(parsed.project_id, parsed.name)
            case "purge":
                return self.purge(parsed.project_id, parsed.stack_id)
            case _:
                return f"{self.root}/{parsed.type}".encode()

    def _facts(self, project_id: str, stack_id: str) -> str:
        return f"{self._data(project_id, stack_id)}/facts"

    def _records(self, project_id: str, stack_id: str, kind: type[Record]) -> str:
        return f"{self._data(project_id, stack_id)}/{RECORD_FORMATS[kind].folder}"

    def _data(self, project_id: str, stack_id: str) -> str:
        if project_of_unnamed(stack_id) == project_id:
            below = f"projects/{_valid_id(project_id)}" if project_id else "service"
            return f"{self.root}/{below}"
        return f"{self.root}/data/{_valid_id(project_id)}/{_valid_id(stack_id)}"


@lru_cache(4096)  # a key is made of two, and the same are used again and again
def is_valid_id(text: str) -> bool:
    """Return True if the text can be used in a key as the id of a project or a stack."""
    return _ID.fullmatch(text) is not None


def _valid_id(identifier: str) -> str:
    """Return the id if it is valid in a key, as all ids of Keystone and of stacks are.

    :raises ValueError: it is not, so that the key could be that of another project.
    """
    if not is_valid_id(identifier):
        raise ValueError(f"{identifier!r} is not a valid id in a key")
    return identifier


def _of_unnamed(project_id: str, key: RecordKey) -> ParsedKey:
    return ParsedKey("record", project_id, unnamed_stack(project_id).id, key.name, key)


def _range_below(folder: str) -> KeyRange:
    return KeyRange(f"{folder}/".encode(), f"{folder}0".encode())
