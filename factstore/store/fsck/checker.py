"""The rules of the check, on keys and records alone.

The checker performs no I/O.  It reads keys that were all stored at one revision, in any order.  The
data of a deleted stack are not checked one by one.  A finding never contains a record, because records
belong to the tenants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from factstore.core.errors import Invalid
from factstore.core.model.counts import counted
from factstore.core.model.data_key import DATA_KEY
from factstore.core.model.path import check_stack_name
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.receipt import Receipt
from factstore.core.model.subscription import Subscription
from factstore.core.model.unnamed import project_of_unnamed
from factstore.core.operations.idempotency import earlier_receipt
from factstore.store import codec
from factstore.store.fsck.report import Finding, ProjectContents, Report, StackUsage
from factstore.store.keyspace import Keyspace, ParsedKey
from factstore.store.types import KeyValue


def check(items: Iterable[KeyValue], keys: Keyspace) -> Report:
    """Check keys and their records."""
    checker = _Checker(keys)
    for item in items:
        checker.read(item)
    return checker.report()


@quick_dataclass(slots=True)
class _StackData:
    """The data below one stack id; they are checked only if the stack exists."""

    first: bytes
    keys: int = 0
    facts: int = 0
    bytes: int = 0
    sensitive: int = 0
    receipts: int = 0
    has_data_key: bool = False
    unreadable: list[Finding] = field(default_factory=list)


class _Checker:
    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys
        self._findings: list[Finding] = []
        self._projects: dict[str, ProjectContents] = {}
        self._data: dict[tuple[str, str], _StackData] = {}
        self._with_unreadable_stacks: set[str] = set()
        self._store_id = b""
        self._leases: set[int] = set()

    def read(self, item: KeyValue) -> None:
        """Check one key, and count it."""
        self._leases.add(item.lease)
        parsed = self._keys.parse_strict(item.key)
        if parsed is None:
            self._find("unknown_key", item.key, "this version of factstore never writes this key")
            return
        project = (
            self._projects.setdefault(parsed.project_id, ProjectContents())
            if parsed.project_id
            else None
        )
        match parsed.type:
            case "stack":
                self._read_stack(item, parsed)
            case "record" if project_of_unnamed(parsed.stack_id) is not None:
                self._read_unnamed(item, parsed)
            case "fact" | "record":
                self._read_data(item, parsed)
            case "act":
                try:
                    codec.decode_deletion_author(item.value)
                except codec.UnknownFormat as error:
                    self._find("unreadable", item.key, str(error))
            case "receipt" if project is not None:
                project.receipts += 1
                try:
                    earlier_receipt(parsed.name, item.value, item.revision)
                except ValueError as error:
                    problem = f"it is not the receipt of an Idempotency-Key: {error}"
                    self._find("unreadable", item.key, problem)
            case "purge" if project is not None:
                project.purges.add(parsed.stack_id)
            case "legacy" if project is not None:
                project.legacy += 1
            case "epoch":
                self._store_id = item.value

    def _read_stack(self, item: KeyValue, parsed: ParsedKey) -> None:
        try:
            check_stack_name(parsed.name)
            stack = codec.decode_stack(
                item.value,
                parsed.project_id,
                parsed.name,
                revision=item.revision,
                created=item.created,
            )
        except (Invalid, codec.UnknownFormat) as error:
            unreadable = isinstance(error, codec.UnknownFormat)
            problem = str(error) if unreadable else "no request can address a stack of this name"
            self._find("unreadable" if unreadable else "unknown_key", item.key, problem)
            self._with_unreadable_stacks.add(parsed.project_id)
            self._projects[parsed.project_id].undeletable += 1
        else:
            self._projects[parsed.project_id].stacks[stack.id] = StackUsage(stack.name)

    def _read_data(self, item: KeyValue, parsed: ParsedKey) -> None:
        data = self._data.setdefault((parsed.project_id, parsed.stack_id), _StackData(item.key))
        data.keys += 1
        data.has_data_key |= parsed.record_key == DATA_KEY
        try:
            if parsed.record_key is None:
                fact = codec.decode_fact(
                    item.value, parsed.name, revision=item.revision, version=1, lease=item.lease
                )
                data.facts += 1
                data.bytes += fact.size
                data.sensitive += fact.sensitive
            else:
                record = codec.decode_record(
                    item.value, parsed.record_key, revision=item.revision, lease=item.lease
                )
                if record.size is not None:
                    data.facts += record.is_item
                    data.bytes += record.size
                data.receipts += isinstance(record, Receipt)
        except codec.UnknownFormat as error:
            data.unreadable.append(Finding("unreadable", item.key, str(error)))

    def _read_unnamed(self, item: KeyValue, parsed: ParsedKey) -> None:
        """Check a record that is in no named stack."""
        assert parsed.record_key is not None  # noqa: S101 - it is a record
        try:
            record = codec.decode_record(
                item.value, parsed.record_key, revision=item.revision, lease=item.lease
            )
        except codec.UnknownFormat as error:
            self._find("unreadable", item.key, str(error))
            return
        if isinstance(record, Subscription):
            self._projects[parsed.project_id].subscriptions += 1
        elif isinstance(record, Receipt):
            self._projects[parsed.project_id].receipts += 1

    def report(self) -> Report:
        """Return the report, once all keys have been read."""
        if not self._store_id:
            self._find("epoch_missing", self._keys.epoch, "the epoch does not exist")
        for (project_id, stack_id), data in self._data.items():
            self._findings += self._check_data(project_id, stack_id, data)
        findings = sorted(self._findings, key=lambda finding: finding.key)
        projects = dict(sorted(self._projects.items()))
        leases = frozenset(self._leases)
        return Report(tuple(findings), projects, self._store_id, leases=leases)

    def _check_data(self, project_id: str, stack_id: str, data: _StackData) -> Iterator[Finding]:
        project = self._projects[project_id]
        stack = project.stacks.get(stack_id)
        if stack is not None:
            stack.facts, stack.bytes = data.facts, data.bytes
            project.receipts += data.receipts
            yield from data.unreadable
            if data.sensitive and not data.has_data_key:
                key = self._keys.record(project_id, stack_id, DATA_KEY)
                sealed = counted(data.sensitive, "sensitive fact")
                problem = f"the data key of {sealed} does not exist"
                yield Finding("sealed_without_key", key, problem)
        elif stack_id not in project.purges and project_id not in self._with_unreadable_stacks:
            # A stack whose record cannot be read may be the one that these data belong to.
            project.orphans.add(stack_id)
            problem = f"{counted(data.keys, 'key')} of a stack that does not exist"
            yield Finding("orphan", data.first, problem, (project_id, stack_id))

    def _find(self, kind: str, key: bytes, problem: str) -> None:
        self._findings.append(Finding(kind, key, problem))
