"""Building keys.  :mod:`factstore.store.keyspace` describes their layout, and parses them."""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import lru_cache
from typing import NamedTuple

from factstore.core.model.pulse import has_pulse
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.unnamed import project_of_unnamed
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


@quick_dataclass(frozen=True, slots=True)
class KeyBuilder:
    """Builds keys below *root*, which has no slash at the end."""

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


def _range_below(folder: str) -> KeyRange:
    return KeyRange(f"{folder}/".encode(), f"{folder}0".encode())
