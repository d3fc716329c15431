"""Whether what lies below the root makes sense: the rules, on keys and records alone.

It reads, and knows no etcd.  Keys come in their order, all as they stood at one revision.  It
guarantees that what is wrong is found once, by the rule that says most about it: what a stack left
behind is not judged fact by fact.  It never shows a record: those are the tenants'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from factstore.core.errors import FactstoreError
from factstore.core.fact import KINDS, TTL_MAX, TTL_MIN, Fact, Stack
from factstore.core.path import ancestors, check_path, check_stack_name
from factstore.core.receipts import is_receipt
from factstore.core.value import canonical, check_value_depth, parse_json
from factstore.store import codec
from factstore.store.findings import Examination, Finding, Usage
from factstore.store.keyspace import Keyspace, Named, is_id
from factstore.store.wire import KeyValue

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
    """What lies below one stack id: what is wrong there counts only if the stack lives."""

    first: bytes
    facts: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


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
                yield from data.findings
                usage = self.projects[project_id]
                usage.facts += data.facts
                usage.bytes += data.bytes
            elif (project_id, stack_id) in self._purges or project_id in self._undecided:
                continue  # they go soon; or they may be those of a record that cannot be read
            elif owner:
                problem = f"{data.facts} facts of a stack that is project {owner}'s"
                yield Finding("misplaced", data.first, problem)
            else:
                problem = f"{data.facts} facts of a stack that does not exist"
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
        if not _is_sound_stack(stack):
            self._undecided.add(named.owner)
            self._find("unreadable", item, "a record's members are not what they should be")
            return
        if not _obeys(check_stack_name, named.name):
            self._find("name_invalid", item, "the stack's name breaks the grammar of names")
        self._records.setdefault((named.owner, stack.id), item.key)
        first = self._owners.setdefault(stack.id, (named.owner, item.key))[1]
        if first != item.key:
            self._find("id_shared", item, f"another record has the same id: {_shown(first)}")

    def _see_fact(self, item: KeyValue, named: Named) -> None:
        of = named.owner, named.stack_id
        if of != self._within:
            self._within, self._paths = of, set()
        data = self._data.setdefault(of, _Data(item.key))
        data.facts += 1
        data.findings += _judge_fact(item, named.name)
        data.bytes += len(item.value.partition(b"\n")[2]) + len(named.name)
        # A folder sorts before what lies below it; each fact in the way is told once.
        for above in ancestors(named.name):
            if above in self._paths:
                self._paths.remove(above)
                key = self._keys.fact(*of, above)
                problem = f"it is a folder too: {_shown(item.key)} lies below it"
                data.findings.append(Finding("fact_and_folder", key, problem))
        self._paths.add(named.name)

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


def _judge_fact(item: KeyValue, path: str) -> Iterator[Finding]:
    if not _obeys(check_path, path):
        yield Finding("path_invalid", item.key, "the path breaks the grammar of paths")
    try:
        fact = codec.decode_fact(
            item.value, path, revision=item.revision, version=item.version, lease=item.lease
        )
    except codec.UnknownFormat as error:
        yield Finding("unreadable", item.key, str(error))
        return
    if not _is_sound_fact(fact):
        problem = "a record's members are not what they should be"
        yield Finding("unreadable", item.key, problem)
        return
    if not _is_canonical(fact.text):
        yield Finding(
            "value_invalid", item.key, "the value is not canonical JSON within the limits"
        )
    if fact.ttl is not None and not fact.lease:
        yield Finding("ttl_without_lease", item.key, f"its ttl is {fact.ttl}, but it has no lease")
    if fact.ttl is None and fact.lease:
        yield Finding("lease_without_ttl", item.key, "it hangs on a lease, but has no ttl")


def _is_sound_fact(fact: Fact) -> bool:
    texts = (fact.created_at, fact.updated_at, fact.updated_by, fact.request_id)
    ttl = fact.ttl
    return (
        _are_texts(texts)
        and fact.kind in KINDS
        and (ttl is None or (type(ttl) is int and TTL_MIN <= ttl <= TTL_MAX))
    )


def _is_sound_stack(stack: Stack) -> bool:
    texts = (stack.created_at, stack.updated_at, stack.updated_by, stack.request_id)
    return _are_texts((stack.id, stack.description, *texts)) and is_id(stack.id)


def _are_texts(members: Iterable[object]) -> bool:
    return all(isinstance(member, str) for member in members)


def _is_canonical(text: str) -> bool:
    try:
        value = parse_json(text.encode())
        check_value_depth(value)
        return canonical(value) == text
    except FactstoreError:
        return False


def _obeys(check: Callable[[str], str], name: str) -> bool:
    try:
        check(name)
    except FactstoreError:
        return False
    return True


def _shown(key: bytes) -> str:
    return key.decode(errors="backslashreplace")
