"""Members, waiters and signals for tests, and a stack to put them in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from factstore.core.model.alarm import Alarm
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.definition import Definition
from factstore.core.model.member import Member
from factstore.core.model.subscription import Subscription
from factstore.core.model.waiter import Signal, Waiter
from factstore.core.state.stack_state import StackState
from factstore.core.state.totals import Totals
from tests.unit.core.factories import EPOCH, NOW, stack

LEASE = 77


def stack_state() -> StackState:
    return StackState(stack(), Totals())


def member(name: str, revision: int, lease: int = LEASE, **fields: Any) -> Member:
    made = Member(
        name,
        "compute",
        "ready",
        "{}",
        30,
        NOW,
        NOW,
        "alice",
        "req-m",
        revision=revision,
        lease=lease,
    )
    return replace(made, **fields)


def waiter(name: str, revision: int, success: Any, **fields: Any) -> Waiter:
    definition = Definition.of({"success": success, **fields})
    return Waiter(
        name,
        definition.text,
        definition.timeout,
        definition.extend_on_progress,
        "pending",
        NOW,
        "alice",
        "req-w",
        timer=5,
        revision=revision,
    )


def subscription(**fields: Any) -> Subscription:
    made = Subscription(
        id="5" * 32,
        name="",
        target="https://receiver.example.com/hook",
        stacks=("*",),
        types=(),
        prefixes=(),
        groups=(),
        max_events=1,
        max_delay=0,
        state="pending",
        reason=None,
        secrets=("whsec_c2VjcmV0",),
        wrapped_key="",
        former_until=None,
        rotated_at=None,
        challenge="challenge-x",
        start=f"{EPOCH}.1",
        created_at=NOW,
        created_by="alice",
        updated_at=NOW,
        updated_by="alice",
        request_id="req-sub",
        replays=0,
        tests=0,
    )
    return replace(made, **fields)


def alarm(name: str, revision: int, **fields: Any) -> Alarm:
    given = {"condition": {"facts": "a", "present": True}, **fields}
    definition = AlarmDefinition.of(given).text
    return Alarm(name, definition, "ok", NOW, NOW, NOW, "alice", "req-a", revision=revision)


def signal(of: str, key: str, revision: int, status: Any = "SUCCESS") -> Signal:
    return Signal(of, key, status, "because", "null", NOW, "alice", "req-s", revision=revision)
