"""Signals to waiters, with the words of Heat's wait conditions.

The body is that of Heat's wait condition handles, and its meaning theirs: ids count once, the last
with an id stands, and one failure fails what waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factstore.core.errors import Forbidden, Invalid
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import quoted
from factstore.core.model.quota import Growth, Quota, admit
from factstore.core.model.record_key import RecordKey
from factstore.core.model.usage import Usage
from factstore.core.model.value import canonical, check_value_depth
from factstore.core.model.waiter import (
    SIGNAL_ID_LENGTH,
    SIGNALS_PER_WAITER,
    Signal,
    SignalStatus,
    Waiter,
)
from factstore.core.operations.fact_plan import Plan
from factstore.core.operations.transactor import Operation
from factstore.core.operations.waiters import missing
from factstore.core.ports import Transaction
from factstore.core.state.state import State

REASON_LENGTH = 1024
STATUSES: tuple[SignalStatus, ...] = ("SUCCESS", "FAILURE")
_AWS = {"Status": "status", "Reason": "reason", "Data": "data", "UniqueId": "id"}
"""As ``cfn-signal`` and ``AWS::CloudFormation::WaitConditionHandle`` spell it."""


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """What somebody signals.

    :param id: None for one that stands for itself.
    :param reason: None for a sentence that counts the signals.
    :param data: canonical JSON.
    """

    status: SignalStatus
    reason: str | None
    data: str
    id: str | None

    @classmethod
    def of(cls, document: Any) -> SignalRequest:
        """Read a signal's body, in Heat's words or in those of AWS.

        :param document: parsed JSON; an empty object is a success.
        :raises Invalid: ``schema``, ``json_too_deep`` or ``json_value``.
        :raises TooLarge: ``value_too_large``.
        """
        if not isinstance(document, dict):
            raise Invalid("a signal is a JSON object.", code="schema")
        names = _AWS if any(name in _AWS for name in document) else {n: n for n in _AWS.values()}
        for name in document:
            if name not in names:
                raise _wrong(name, f"unknown; a signal has {', '.join(names)}")
        given = {names[name]: value for name, value in document.items()}
        status = given.get("status", "SUCCESS")
        if status not in STATUSES:
            raise _wrong("status", f"must be one of {', '.join(STATUSES)}")
        reason = given.get("reason")
        if reason is not None and not (isinstance(reason, str) and len(reason) <= REASON_LENGTH):
            raise _wrong("reason", f"must be a text of at most {REASON_LENGTH} characters")
        identifier = given.get("id")
        if type(identifier) is int:  # Heat's own are numbers
            identifier = str(identifier)
        if identifier is not None and not (
            isinstance(identifier, str) and 0 < len(identifier) <= SIGNAL_ID_LENGTH
        ):
            raise _wrong("id", f"must be a text of 1 to {SIGNAL_ID_LENGTH} characters")
        for text in (reason, identifier):
            canonical(text)  # refuses what JSON's readers disagree about
        check_value_depth(given.get("data"))
        return cls(status, reason, canonical(given.get("data")), identifier)


def _wrong(field: str, what: str) -> Invalid:
    return Invalid(f"field {quoted(field)}: {what}.", code="schema", extra={"field": field})


class Signalling(Operation):
    """One signal to one waiter.

    The results of its plan are the signal, and whether it says anything new.
    """

    def __init__(
        self,
        scope: Scope,
        waiter: str,
        wish: SignalRequest,
        author: Author,
        now: str,
        deadline: float,
    ) -> None:
        self.scope, self.deadline = scope, deadline
        self._waiter = waiter
        self._wish = wish
        self._author = author
        self._now = now

    def plan(self, state: State, quota: Quota) -> Plan:
        wish, place = self._wish, RecordKey("waiter", self._waiter)
        with state.read():
            space = state.space(self.scope)
            waiter = state.record(self.scope, place)
            if space is None or not isinstance(waiter, Waiter):
                raise missing(self.scope, self._waiter)
            signals = space.signals(self._waiter)
            project = state.project_usage(self.scope.project_id)
            usage = state.usage(self.scope) or Usage(0, 0)
            stack, planned_at = space.stack, state.revision
        signal = Signal(
            waiter=self._waiter,
            id=wish.id if wish.id is not None else self._author.request_id,
            status=wish.status,
            reason=wish.reason or f"Signal {len(signals) + 1} received",
            data=wish.data,
            received_at=self._now,
            by=self._author.user_id,
            request_id=self._author.request_id,
        )
        known = signals.get(signal.record_key.name)
        guards = {place: waiter.revision, signal.record_key: known.revision if known else 0}
        commit = Transaction(stack, planned_at, state.epoch, guards=guards)
        said = (signal.status, signal.data, wish.reason or (known and known.reason))
        if known is not None and (known.status, known.data, known.reason) == said:
            return Plan(commit, (known, False))
        if known is None and len(signals) >= SIGNALS_PER_WAITER:
            raise Forbidden(
                f"the waiter has {len(signals)} signals; at most {SIGNALS_PER_WAITER} are kept.",
                code="quota_exceeded",
                extra={
                    "quota": "signals_per_waiter",
                    "limit": SIGNALS_PER_WAITER,
                    "used": len(signals),
                },
            )
        growth = Growth(0, 0 if known else 1, signal.size - (known.size if known else 0))
        near = admit(quota, project, usage, growth)
        gate = project.gate if growth.adds and quota != Quota() else None
        commit = Transaction(
            stack, planned_at, state.epoch, guards=guards, records=(signal,), gate=gate
        )
        return Plan(commit, (signal, True), growth, near)
