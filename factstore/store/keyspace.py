"""The layout of keys, which only this module and :mod:`factstore.store.key_builder` know.

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
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.unnamed import unnamed_stack
from factstore.store.key_builder import KeyBuilder
from factstore.store.record_formats import RECORD_FORMATS


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


@quick_dataclass(frozen=True, slots=True)
class Keyspace(KeyBuilder):
    """Builds and parses keys below *root*."""

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


def _of_unnamed(project_id: str, key: RecordKey) -> ParsedKey:
    return ParsedKey("record", project_id, unnamed_stack(project_id).id, key.name, key)
