"""Signals to waiters, with the words of Heat's wait conditions.

Body and meaning are those of Heat's wait condition handles: an id counts once, the last signal with an
id replaces the others, and one failure fails the condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factstore.core.errors import Forbidden, Invalid
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import quoted
from factstore.core.model.value import canonical, check_value_depth
from factstore.core.model.waiter import (
    SIGNAL_ID_LENGTH,
    SIGNALS_PER_WAITER,
    Signal,
    SignalStatus,
)
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.operations.waiters import waiter_of

REASON_LENGTH = 1024
STATUSES: tuple[SignalStatus, ...] = ("SUCCESS", "FAILURE")
_AWS = {"Status": "status", "Reason": "reason", "Data": "data", "UniqueId": "id"}
"""The names of ``cfn-signal`` and ``AWS::CloudFormation::WaitConditionHandle``."""


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """The body of a signal.

    :param id: None for a signal of its own.
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
            raise _wrong("reason", f"must be a string of at most {REASON_LENGTH} characters")
        identifier = given.get("id")
        if type(identifier) is int:  # Heat's own are numbers
            identifier = str(identifier)
        if identifier is not None and not (
            isinstance(identifier, str) and 0 < len(identifier) <= SIGNAL_ID_LENGTH
        ):
            raise _wrong("id", f"must be a string of 1 to {SIGNAL_ID_LENGTH} characters")
        for text in (reason, identifier):
            canonical(text)  # refuses what JSON's readers disagree about
        check_value_depth(given.get("data"))
        return cls(status, reason, canonical(given.get("data")), identifier)


def _wrong(field: str, what: str) -> Invalid:
    return Invalid(f"field {quoted(field)}: {what}.", code="schema", extra={"field": field})


@dataclass(frozen=True, slots=True)
class SignalResult:
    """The signal as it is stored, and whether it was new."""

    signal: Signal
    changed: bool


@dataclass(slots=True)
class SendSignal(Operation[SignalResult]):
    """Store one signal to one waiter."""

    scope: Scope
    waiter: str
    request: SignalRequest
    author: Author

    def plan(self, view: View) -> Draft[SignalResult]:
        """Return the draft; it writes nothing if the same signal is stored already.

        :raises NotFound: there is no such waiter.
        :raises Forbidden: ``quota_exceeded``: the waiter has too many signals.
        """
        request, waiter = self.request, waiter_of(view, self.waiter)
        signals = view.stack_state.signals(self.waiter) if view.stack_state else {}
        signal = Signal(
            waiter=self.waiter,
            id=request.id if request.id is not None else self.author.request_id,
            status=request.status,
            reason=request.reason or f"Signal {len(signals) + 1} received",
            data=request.data,
            received_at=view.now,
            by=self.author.user_id,
            request_id=self.author.request_id,
        )
        known = signals.get(signal.record_key.name)
        revisions = {
            waiter.record_key: waiter.revision,
            signal.record_key: known.revision if known else 0,
        }
        stated = (signal.status, signal.data, request.reason or (known and known.reason))
        if known is not None and (known.status, known.data, known.reason) == stated:
            return Draft(SignalResult(known, False), record_revisions=revisions)
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
        return Draft(SignalResult(signal, True), records=(signal,), record_revisions=revisions)
