"""Alarms as JSON."""

from __future__ import annotations

import json

from factstore.api.serializers.waiters import lost_history
from factstore.core.model.alarm import Alarm
from factstore.core.model.value import encode
from factstore.core.services.alarms import AlarmView


def alarm_document(alarm: Alarm) -> dict[str, object]:
    """Return an alarm, without the present evaluation of its condition."""
    return {
        "name": alarm.name,
        "state": alarm.state,
        "pending": alarm.pending,
        "value": alarm.value,
        "reason": alarm.reason,
        "repeats": alarm.repeats,
        "revision": alarm.revision,
        "decided_revision": alarm.decided_revision or None,
        **json.loads(alarm.definition),
        "created_at": alarm.created_at,
        "changed_at": alarm.changed_at,
        "updated_at": alarm.updated_at,
        "updated_by": alarm.updated_by,
        **lost_history(alarm),
    }


def alarm_summary_text(alarm: Alarm) -> str:
    """Return an alarm as JSON, without the present evaluation of its condition."""
    return encode(alarm_document(alarm))


def alarm_text(found: AlarmView) -> str:
    """Return an alarm as JSON."""
    current = {"met": found.is_met, "value": found.value, "ignored": list(found.ignored)}
    document = alarm_document(found.alarm)
    if found.fault is not None:
        document["reason"] = found.fault
    return encode({**document, "current": current})
