"""A whole stack as one JSON document, which keeps kinds, lifetimes, readers, waiters and alarms.

Sensitive values are in it only if a key seals them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from factstore.client import Fact, Forbidden, NotFound, Put, Stack, WaiterRecord
from factstore.client.render import Omit

VERSION = 1


class Seal(Protocol):
    """Encrypts sensitive values in a document."""

    def encrypt(self, value: Any) -> str:
        """Return the sealed text of a value."""
        ...

    def decrypt(self, text: str) -> Any:
        """Return the value. Raises ValueError if another key sealed it."""
        ...


@dataclass(frozen=True)
class Waiter:
    """The definition of a waiter."""

    name: str
    success: Any
    failure: Any = None
    timeout: int | None = None


@dataclass(frozen=True)
class Alarm:
    """The definition of an alarm.

    :ivar seconds: of ``for``.
    """

    name: str
    condition: Any
    seconds: int = 0
    quiet: int = 0
    repeat: int = 0
    no_data: str = "keep"

    def document(self) -> dict[str, Any]:
        """Return the definition as a JSON object."""
        fields = asdict(self)
        return {"for" if name == "seconds" else name: value for name, value in fields.items()}

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Alarm:
        """Return the definition in a JSON object."""
        return cls(**{"seconds" if name == "for" else name: document[name] for name in document})


@dataclass(frozen=True)
class Contents:
    """The contents of a stack at one revision.

    :ivar omitted: the paths of sensitive facts without their values.
    """

    name: str
    facts: tuple[Put, ...]
    waiters: tuple[Waiter, ...] = ()
    cursor: str = ""
    omitted: tuple[str, ...] = field(default=())
    alarms: tuple[Alarm, ...] = ()


def read_stack(
    stack: Stack,
    prefix: str = "",
    *,
    secrets: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Contents:
    """Return the facts of a stack at one revision, and the waiters and alarms that existed then.

    :param secrets: read sensitive values, too.
    :param progress: called with the number of facts read so far.
    :raises NotFound: the stack does not exist.
    """
    while True:
        before = _waiters(stack), _alarms(stack)
        snapshot = stack.snapshot(prefix)
        if (
            _waiters(stack),
            _alarms(stack),
        ) == before:  # they did not change while the facts were read
            break
    facts, omitted = [], []
    for number, fact in enumerate(snapshot.facts, 1):
        found = _put(stack, fact, secrets)
        if found is None:
            omitted.append(fact.path)
        else:
            facts.append(found)
        progress(number)
    waiters, alarms = before if not prefix else ((), ())
    return Contents(stack.name, tuple(facts), waiters, snapshot.cursor, tuple(omitted), alarms)


def _put(stack: Stack, fact: Fact, secrets: bool) -> Put | None:
    value = fact.value
    if fact.sensitive:
        if not secrets:
            return None
        try:
            value = stack.get(fact.path).value
        except (Forbidden, NotFound):
            return None
    readers = tuple(fact.readers) if fact.sensitive else ()
    # A member's lease belongs to the member: a copy of its fact has no lifetime.
    ttl = fact.ttl if fact.member is None else None
    return Put(fact.path, value, kind=fact.kind, ttl=ttl, sensitive=fact.sensitive, readers=readers)


def _waiters(stack: Stack) -> tuple[Waiter, ...]:
    return tuple(_waiter(record) for record in stack.waiters())


def _alarms(stack: Stack) -> tuple[Alarm, ...]:
    return tuple(
        Alarm(a.name, a.condition, a.for_seconds, a.quiet, a.repeat, a.no_data)
        for a in stack.alarms()
    )


def _waiter(record: WaiterRecord) -> Waiter:
    return Waiter(record.name, record.success, record.failure, record.timeout)


def write_document(contents: Contents, seal: Seal | None) -> str:
    """Return a stack as JSON; without *seal*, sensitive facts are left out."""
    facts = []
    for put in contents.facts:
        row = {"path": put.path, **put.body()}
        if put.sensitive:
            if seal is None:
                continue
            del row["value"]
            row["sealed"] = seal.encrypt(put.value)
        facts.append(row)
    waiters = []
    for waiter in contents.waiters:
        known = {
            "name": waiter.name,
            "success": waiter.success,
            "failure": waiter.failure,
            "timeout": waiter.timeout,
        }
        waiters.append({key: value for key, value in known.items() if value is not None})
    document = {
        "factstore": VERSION,
        "stack": contents.name,
        "cursor": contents.cursor,
        "facts": facts,
        "waiters": waiters,
        "alarms": [alarm.document() for alarm in contents.alarms],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_document(text: str, seal: Seal | None, omit: Omit) -> Contents:
    """Return the contents of such a document, or of any JSON object, whose leaves become facts.

    :raises ValueError: the text is not JSON, or another key sealed its values.
    """
    from factstore.transfer.paths import leaves, puts

    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("is not a JSON object")
    if document.get("factstore") != VERSION or not isinstance(document.get("facts"), list):
        if isinstance(document.get("facts"), dict) and "members" in document:
            document = document["facts"]
        return Contents("", tuple(puts(leaves(document), omit)))
    facts = tuple(_facts(document["facts"], seal, omit))
    waiters = tuple(Waiter(**each) for each in document.get("waiters") or ())
    alarms = tuple(map(Alarm.parse, document.get("alarms") or ()))
    return Contents(str(document.get("stack", "")), facts, waiters, alarms=alarms)


def _facts(rows: Iterable[Any], seal: Seal | None, omit: Omit) -> Iterable[Put]:
    for row in rows:
        known = {key: value for key, value in row.items() if key != "sealed"}
        if "sealed" in row:
            if seal is None:
                omit(row["path"], "is sealed, and no key is given")
                continue
            known["value"] = seal.decrypt(row["sealed"])
        try:
            yield Put(**known)
        except TypeError as error:
            raise ValueError(f"is not an export of factstore: {error}") from error
