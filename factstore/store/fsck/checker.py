"""Whether what lies below the root makes sense: the rules, on keys and records alone.

It reads, and knows no etcd.  Keys come in their order, all as they stood at one revision.  It
guarantees that what is wrong is found once, by the rule that says most about it: what a stack left
behind is not judged fact by fact.  It never shows a record: those are the tenants'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from factstore.core.model.data_key import DATA_KEY
from factstore.core.model.event import Record
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied, Member
from factstore.core.model.path import ancestors, check_stack_name
from factstore.core.model.record_key import COUNTED, RecordKey
from factstore.core.model.waiter import Signal, Timer, Waiter
from factstore.core.operations.idempotency import is_receipt
from factstore.store import codec
from factstore.store.fsck.findings import Examination, Finding, Usage
from factstore.store.fsck.records import is_sound_stack, judge_fact, judge_record, obeys
from factstore.store.keyspace import Keyspace, Named
from factstore.store.types import KeyValue

_EPOCH = re.compile(rb"[0-9a-f]{32}")


def examine(items: Iterable[KeyValue], keys: Keyspace) -> Examination:
    """Judge all that lies below the root."""
    examiner = _Examiner(keys)
    for item in items:
        examiner.see(item)
    findings = sorted([*examiner.findings, *examiner.conclude()], key=lambda finding: finding.key)
    return Examination(tuple(findings), dict(sorted(examiner.projects.items())), examiner.life)


@dataclass(slots=True)
class _Data:
    """What lies below one stack id: what is wrong there counts only if the stack lives.

    :ivar members: the lease of each by name, 0 of one that is awaited; None if it cannot be read.
    :ivar waiters: of each by name, whether it is, or may be, pending.
    :ivar followers: keys that belong to a member or waiter, with what they are and their leases.
    :ivar seal: the key of the data key that sensitive facts need; empty once it was seen.
    """

    first: bytes
    keys: int = 0
    facts: int = 0
    size: int = 0
    findings: list[Finding] = field(default_factory=list)
    members: dict[str, int | None] = field(default_factory=dict)
    waiters: dict[str, bool] = field(default_factory=dict)
    followers: list[tuple[bytes, RecordKey, int]] = field(default_factory=list)
    sensitive: int = 0
    seal: bytes = b""

    def conclude(self) -> Iterator[Finding]:
        """What is wrong there, and what shows only when all of it was seen."""
        yield from self.findings
        if self.sensitive and self.seal:
            problem = f"the data key of {self.sensitive} sensitive facts is not there"
            yield Finding("sealed_without_key", self.seal, problem)
        for key, of, lease in self.followers:
            match of.kind:
                case "member":
                    if self.members.get(of.name, -1) not in (lease, None):
                        problem = (
                            "it goes with a member that is not there, or is another one by now"
                        )
                        yield Finding("bound_astray", key, problem)
                case "applied":
                    known = self.members.get(of.name, -1)
                    if not lease and known != 0:
                        problem = "it is a note of what a member has applied, but has no lease"
                        yield Finding("record_without_lease", key, problem)
                    elif known not in (lease, None):
                        problem = "it tells what a member has applied that is not there"
                        yield Finding("record_astray", key, problem)
                case "timer":
                    if not self.waiters.get(of.name):
                        problem = "it is the timer of a waiter that does not wait"
                        yield Finding("record_astray", key, problem)
                case _:
                    if of.name not in self.waiters:
                        yield Finding("record_astray", key, "it is a signal to no waiter")


class _Examiner:
    def __init__(self, keys: Keyspace) -> None:
        self.findings: list[Finding] = []
        self.projects: dict[str, Usage] = {}
        self.life = b""
        self._keys = keys
        self._data: dict[tuple[str, str], _Data] = {}
        self._records: dict[tuple[str, str], bytes] = {}
        self._owners: dict[str, tuple[str, bytes]] = {}
        self._purges: dict[tuple[str, str], bytes] = {}
        self._undecided: set[str] = set()
        self._within = ("", "")
        self._paths: set[str] = set()

    def see(self, item: KeyValue) -> None:
        named = self._keys.locate(item.key)
        if named is None:
            self._find("unknown_key", item, "no factstore of this version puts a key there")
            return
        if named.owner:
            self.projects.setdefault(named.owner, Usage())
        if named.what == "fact":
            self._see_fact(item, named)
            return
        if named.what == "receipt":
            self._see_receipt(item, named)
            return
        if named.record_key is not None:
            self._see_record(item, named, named.record_key)
            return
        if item.lease:
            self._find(
                "lease_unexpected", item, "it hangs on a lease, and nothing of its kind does"
            )
        match named.what:
            case "stack":
                self._see_stack(item, named)
            case "purge":
                self._purges[named.owner, named.stack_id] = item.key
            case "act":
                self._see_act(item)
            case "epoch":
                self.life = item.value
                if not _EPOCH.fullmatch(item.value):
                    self._find("epoch_malformed", item, "the epoch is not 32 hexadecimal digits")
            case "compactor":
                if not item.value.isdigit():
                    self._find("compactor_malformed", item, "it does not hold a revision")

    def conclude(self) -> Iterator[Finding]:
        """What shows only when everything was seen."""
        if not self.life:
            yield Finding("epoch_missing", self._keys.epoch, "there is no epoch")
        for (project_id, stack_id), data in self._data.items():
            owner = self._owners.get(stack_id, ("", b""))[0]
            if (project_id, stack_id) in self._records:
                yield from data.conclude()
                usage = self.projects[project_id]
                usage.facts += data.facts
                usage.bytes += data.size
            elif (project_id, stack_id) in self._purges or project_id in self._undecided:
                continue  # they go soon; or they may be those of a record that cannot be read
            elif owner:
                problem = f"{data.keys} keys of a stack that is project {owner}'s"
                yield Finding("misplaced", data.first, problem)
            else:
                problem = f"{data.keys} keys of a stack that does not exist"
                yield Finding("orphan", data.first, problem, (project_id, stack_id))
        for (project_id, stack_id), key in self._purges.items():
            record = self._records.get((project_id, stack_id))
            if record is not None:
                problem = f"a sweep is to come, but the stack lives: {_shown(record)}"
                yield Finding("purge_of_living", key, problem)

    def _see_stack(self, item: KeyValue, named: Named) -> None:
        self.projects[named.owner].stacks += 1
        try:
            stack = codec.decode_stack(
                item.value, named.owner, named.name, revision=item.revision, created=item.created
            )
        except codec.UnknownFormat as error:
            self._undecided.add(named.owner)
            self._find("unreadable", item, str(error))
            return
        if not is_sound_stack(stack):
            self._undecided.add(named.owner)
            self._find("unreadable", item, "a record's members are not what they should be")
            return
        if not obeys(check_stack_name, named.name):
            self._find("name_invalid", item, "the stack's name breaks the grammar of names")
        self._records.setdefault((named.owner, stack.id), item.key)
        first = self._owners.setdefault(stack.id, (named.owner, item.key))[1]
        if first != item.key:
            self._find("id_shared", item, f"another record has the same id: {_shown(first)}")

    def _see_fact(self, item: KeyValue, named: Named) -> None:
        of = named.owner, named.stack_id
        if of != self._within:
            self._within, self._paths = of, set()
        data = self._seen_below(item, named)
        data.facts += 1
        data.findings += judge_fact(item, named.name)
        data.sensitive += codec.is_sealed(item.value)
        member = _member_of(item, named.name)
        if member is not None:
            data.followers.append((item.key, RecordKey("member", member), item.lease))
        data.size += len(item.value.partition(b"\n")[2]) + len(named.name)
        # A folder sorts before what lies below it; each fact in the way is told once.
        for above in ancestors(named.name):
            if above in self._paths:
                self._paths.remove(above)
                key = self._keys.fact(*of, above)
                problem = f"it is a folder too: {_shown(item.key)} lies below it"
                data.findings.append(Finding("fact_and_folder", key, problem))
        self._paths.add(named.name)

    def _see_record(self, item: KeyValue, named: Named, place: RecordKey) -> None:
        data = self._seen_below(item, named)
        data.facts += place.kind in COUNTED
        record: Record | None = None
        try:
            record = codec.decode_record(
                item.value, place, revision=item.revision, lease=item.lease
            )
        except codec.UnknownFormat as error:
            data.findings.append(Finding("unreadable", item.key, str(error)))
        data.findings += judge_record(item, place, record)
        match record:
            case Member() | Waiter() | Signal() | Grant():
                data.size += record.size
        if place.kind == "member":
            awaited = isinstance(record, Member) and record.awaited
            known = record is not None and (item.lease or awaited)
            data.members[place.name] = item.lease if known else None
        elif place == DATA_KEY:
            data.seal = b""
        elif place.kind == "waiter":
            data.waiters[place.name] = not isinstance(record, Waiter) or record.state == "pending"
        elif isinstance(record, Signal | Applied) or (isinstance(record, Timer) and item.lease):
            of = place.name.partition("/")[0]
            data.followers.append((item.key, RecordKey(place.kind, of), item.lease))

    def _seen_below(self, item: KeyValue, named: Named) -> _Data:
        of = named.owner, named.stack_id
        data = self._data.get(of)
        if data is None:
            data = self._data[of] = _Data(item.key, seal=self._keys.record(*of, DATA_KEY))
        data.keys += 1
        return data

    def _see_receipt(self, item: KeyValue, named: Named) -> None:
        self.projects[named.owner].receipts += 1
        if not is_receipt(item.value):
            self._find("unreadable", item, "it is no receipt of an Idempotency-Key")
        if not item.lease:
            self._find("receipt_without_lease", item, "the receipt hangs on no lease")

    def _see_act(self, item: KeyValue) -> None:
        try:
            codec.decode_act(item.value)
        except codec.UnknownFormat as error:
            self._find("unreadable", item, str(error))

    def _find(self, kind: str, item: KeyValue, problem: str) -> None:
        self.findings.append(Finding(kind, item.key, problem))


def _member_of(item: KeyValue, path: str) -> str | None:
    """The member that a fact goes with, by a lease; the rest was told of the fact itself."""
    if not item.lease or b'"member"' not in item.value:
        return None
    try:
        fact = codec.decode_fact(item.value, path, revision=0, version=0, lease=item.lease)
    except codec.UnknownFormat:
        return None
    return fact.member


def _shown(key: bytes) -> str:
    return key.decode(errors="backslashreplace")
