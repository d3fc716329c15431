"""Compares the ends of members, facts with a ttl, waiters and turns, and alarms, with promises."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import pairwise

from tests.faults.checker import History, Scope, Violation, canonical
from tests.gate.recording import Life, Recording
from tests.gate.replay import Revisions, all_known
from tests.gate.values import Values

ENDS = {"member.expire", "fact.expire"}


def check_lives(recording: Recording, history: History) -> Iterator[Violation]:
    """Yield what expired before its time, counted from the start of its last acknowledged renewal."""
    revisions = Revisions(all_known(recording))
    for life in recording.lives:
        ended = expired_at(life, history)
        if ended is None:
            continue
        # It had expired by then, if not earlier.
        latest = revisions.received_at(ended)
        due = max(each.started for each in life.renewals) + life.ttl
        if latest < due:
            last = life.renewals[-1]
            yield Violation(
                "early",
                f"{life.name} of {life.born} expired at {ended}, {due - latest:.2f} s early; "
                f"that was known {latest - last.started:.2f} s after its last renewal had begun and "
                f"{latest - last.ended:.2f} s after that had been acknowledged",
            )


def expired_at(life: Life, history: History) -> int | None:
    """Return the revision at which a life expired, or None."""
    for revision, changes in history.events.get(life.scope, {}).items():
        if revision > life.born:
            for change in changes:
                if change.path == life.name:
                    if change.type in ENDS:
                        return revision
                    if change.type in ("member.join", "member.depart", "fact.delete"):
                        return None  # another one of that name, or it was ended by request
    return None


def latenesses(recording: Recording, history: History) -> list[float]:
    """Return the seconds beyond its ttl for which each life that expired has lasted, at most."""
    revisions = Revisions(all_known(recording))
    found = []
    for life in recording.lives:
        ended = expired_at(life, history)
        if ended is not None and (latest := revisions.received_at(ended)) < math.inf:
            found.append(latest - max(each.ended for each in life.renewals) - life.ttl)
    return found


def check_waiters(history: History) -> Iterator[Violation]:
    """Yield armings that ended twice, too early, too late or not at all.

    A condition is judged if it requires a value of one fact, and only until history was lost.
    """
    values = Values(history)
    for scope, records in history.records.items():
        armed: dict[str, tuple[int, dict[str, object]]] = {}
        for revision, name, record in records:
            if not name.startswith("waiter:"):
                continue
            fields = record.fields if record else None
            if fields is None:
                armed.pop(name, None)
            elif fields["state"] == "pending":
                at = armed[name][0] if name in armed and _continues(armed[name][1], fields) else 0
                armed[name] = (at or revision, fields)
            elif name not in armed:
                yield Violation("ended twice", f"{name} at {revision}: {fields['state']}")
            else:
                at, _ = armed.pop(name)
                yield from _judge(values, scope, name, at, revision, fields)
        for name, (at, fields) in armed.items():
            met = None if fields.get("history_lost_at") else _first_met(values, scope, fields, at)
            if met is not None:
                yield Violation("missed", f"{name}, armed at {at}, was met at {met} and is pending")


def _continues(former: dict[str, object], fields: dict[str, object]) -> bool:
    return former["armed_at"] == fields["armed_at"]


def _judge(
    values: Values, scope: Scope, name: str, armed: int, ended: int, fields: dict[str, object]
) -> Iterator[Violation]:
    if fields["state"] != "met" or fields.get("history_lost_at"):
        return
    first = _first_met(values, scope, fields, armed)
    if first != fields["decided_revision"]:
        detail = f"{name}, armed at {armed}, was met at {first} and ended at {ended}: {fields}"
        yield Violation("misjudged", detail)


def _first_met(values: Values, scope: Scope, fields: dict[str, object], armed: int) -> int | None:
    condition = json.loads(str(fields["definition"]))["success"]
    path, wanted = condition.get("facts"), condition.get("equals")
    if path is None or wanted is None:
        return None
    return values.first(scope, path, canonical(wanted), armed)


def check_alarms(history: History) -> Iterator[Violation]:
    """Yield alarms whose state the facts do not justify: at each edge, and at the end.

    An alarm is judged if it compares the greatest value of one fact, and until history was lost.
    """
    values = Values(history)
    for scope, records in history.records.items():
        known: dict[str, dict[str, object]] = {}
        for _, name, record in records:
            if name.startswith("alarm:"):
                former = known.pop(name, None)
                if record is None:
                    continue
                fields = known[name] = record.fields
                if former is not None and former["state"] != fields["state"]:
                    at = int(str(fields["decided_revision"]))
                    yield from _judge_alarm(values, scope, name, fields, at)
        for name, fields in known.items():
            yield from _judge_alarm(values, scope, name, fields, history.revision)


def _judge_alarm(
    values: Values, scope: Scope, name: str, fields: dict[str, object], at: int
) -> Iterator[Violation]:
    condition = json.loads(str(fields["definition"]))["condition"].get("aggregate", {})
    path, least = condition.get("facts"), condition.get("at_least")
    if fields.get("history_lost_at") or least is None or condition["function"] != "max":
        return
    value = values.at(scope, path, at)
    if value is None:
        return  # without data, it keeps its state
    state = "alarm" if json.loads(value) >= least else "ok"
    if state != fields["state"]:
        detail = f"{name} is {fields['state']}, and {path} was {value} at {at}: {fields}"
        yield Violation("alarm", detail)


def check_holds(recording: Recording) -> Iterator[Violation]:
    """Yield turns of which there can only be one at a time, and which two members held."""
    queues: dict[str, list[tuple[float, float, str]]] = {}
    for hold in recording.holds:
        queues.setdefault(hold.queue, []).append((hold.started, hold.ended, hold.member))
    for queue, held in queues.items():
        held.sort()
        for (_, ended, first), (started, _, second) in pairwise(held):
            if started < ended and first != second:
                yield Violation("held twice", f"{queue}: {first} until {ended}, {second} {started}")
