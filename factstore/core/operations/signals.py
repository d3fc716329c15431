"""Signals to waiters, with the words of Heat's wait conditions.

Body and meaning are those of Heat's wait condition handles: an id counts once, the last signal with an
id replaces the others, and one failure fails the condition.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from factstore.core.errors import Invalid
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.value import (
    DEPTH,
    VALUE_BYTES,
    canonical_of_any_size,
    check_value_depth,
    encode,
    utf8_size,
)
from factstore.core.model.waiter import (
    SIGNAL_ID_LENGTH,
    SIGNALS_PER_WAITER,
    Signal,
    SignalStatus,
    Waiter,
)
from factstore.core.operations.bounds import quota_exceeded
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.operations.waiters import waiter_of

REASON_LENGTH = 1024
NESTING = 500
"""Levels of a signal's body; data with more than a value may have becomes a text."""

_UNREADABLE = re.compile("[\0\ud800-\udfff]")
STATUSES: tuple[SignalStatus, ...] = ("SUCCESS", "FAILURE")
_AWS = {"Status": "status", "Reason": "reason", "Data": "data", "UniqueId": "id"}
"""The names of ``cfn-signal`` and ``AWS::CloudFormation::WaitConditionHandle``."""


@quick_dataclass(frozen=True, slots=True)
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
        The status must arrive whatever a script adds to it.  So texts that are too long are cut, data
        that is nested too deeply becomes a text, and NUL and lone surrogates are replaced.

        :raises Invalid: ``schema``.
        """
        if not isinstance(document, dict):
            raise Invalid("A signal is a JSON object.", code="schema")
        names = _AWS if any(name in _AWS for name in document) else {n: n for n in _AWS.values()}
        for name in document:
            if name not in names:
                raise _wrong(name, f"unknown; a signal has {', '.join(names)}")
        given = {names[name]: _readable(value) for name, value in document.items()}
        status = given.get("status", "SUCCESS")
        if status not in STATUSES:
            raise _wrong("status", f"must be one of {', '.join(STATUSES)}")
        reason = given.get("reason")
        if reason is not None and not isinstance(reason, str):
            raise _wrong("reason", "must be a string")
        identifier = given.get("id")
        if type(identifier) is int:  # Heat's own are numbers
            identifier = str(identifier)
        if identifier is not None and not (isinstance(identifier, str) and identifier):
            raise _wrong("id", "must be a string of at least one character, or a number")
        return cls(
            status,
            None if reason is None else _cut(reason, REASON_LENGTH),
            _cut_data(given.get("data")),
            None if identifier is None else _short_id(identifier),
        )


def _readable(value: Any) -> Any:
    """Return a value with U+FFFD for the characters about which JSON's readers disagree."""
    if isinstance(value, str):
        return _UNREADABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_readable(name): _readable(each) for name, each in value.items()}
    return [_readable(each) for each in value] if isinstance(value, list) else value


def _cut(text: str, length: int) -> str:
    """Return a text; the beginning of a longer one, with a note of its length."""
    if len(text) <= length:
        return text
    note = f"... [cut from {len(text)} characters]"
    return text[: length - len(note)] + note


def _cut_data(data: Any) -> str:
    """Return the canonical text of a value; of a larger one, that of its beginning as a string."""
    text = canonical_of_any_size(data)
    try:
        check_value_depth(data)
    except Invalid:
        data = f"[nested deeper than {DEPTH} levels] {text}"
        text = encode(data)
    if utf8_size(text) <= VALUE_BYTES:
        return text
    whole, length = data if isinstance(data, str) else text, VALUE_BYTES
    while utf8_size(text) > VALUE_BYTES:  # characters take up to six bytes
        text = encode(_cut(whole, length))
        length = length * 3 // 4
    return text


def _short_id(identifier: str) -> str:
    """Return an id; a longer one ends with a hash, so that it still differs from all others."""
    if len(identifier) <= SIGNAL_ID_LENGTH:
        return identifier
    digest = hashlib.sha256(identifier.encode()).hexdigest()[:32]
    return f"{identifier[: SIGNAL_ID_LENGTH - len(digest) - 1]}~{digest}"


def _wrong(field: str, what: str) -> Invalid:
    return Invalid(f"Field {quoted(field)}: {what}.", code="schema", extra={"field": field})


@quick_dataclass(frozen=True, slots=True)
class SignalResult:
    """The waiter, the signal as it is stored, and whether it was new."""

    waiter: Waiter
    signal: Signal
    changed: bool


@quick_dataclass(slots=True)
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
            return Draft(SignalResult(waiter, known, False), record_revisions=revisions)
        if known is None and len(signals) >= SIGNALS_PER_WAITER:
            raise quota_exceeded(
                "signals_per_waiter",
                SIGNALS_PER_WAITER,
                len(signals),
                f"The waiter has {len(signals)} signals; at most {SIGNALS_PER_WAITER} are kept.",
            )
        return Draft(
            SignalResult(waiter, signal, True), records=(signal,), record_revisions=revisions
        )
