"""The kinds of records beside facts, and the form in which each of them is stored."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Literal

from factstore.core.errors import Invalid
from factstore.core.model.action import Action, ActionResult, ActionTimer
from factstore.core.model.alarm import Alarm, AlarmTimer
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.blocked_reads import BlockedRead, BlockedReads
from factstore.core.model.condition_room import ConditionRoom
from factstore.core.model.configuration import ConfigurationOrder
from factstore.core.model.cursor import Cursor
from factstore.core.model.data_key import DataKey
from factstore.core.model.definition import Definition
from factstore.core.model.delivery import DeliveryState, Notifier, Owner
from factstore.core.model.event import DeletionMarker
from factstore.core.model.flapping_report import FlappingReport
from factstore.core.model.grant import Grant
from factstore.core.model.kept_value import KEEP_VALUES_MAX, KeptValue
from factstore.core.model.member import Applied, Declaration, Member
from factstore.core.model.pulse import Endings, Pulse, Restorations
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ReadSet
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import Record
from factstore.core.model.stuck_report import StuckReport
from factstore.core.model.subscription import Subscription
from factstore.core.model.turn import Rank, Turn
from factstore.core.model.wait import PARTY_KINDS, Party
from factstore.core.model.waiter import Progress, Signal, Timer, Waiter

Place = Literal["stack", "project", "service"]
"""Where records are: in a named stack, or in the unnamed one of a project or of the service."""


@quick_dataclass(frozen=True, slots=True)
class RecordFormat:
    """The stored form of the records of one kind.

    :param folder: the folder of their keys in the data of a stack.
    :param key_field: the field that the key contains, so that the value does not.
    :param omitted: fields that are omitted if they have this value, so that earlier versions can read
        the record.
    :param convert: converts fields in place, from the types of JSON to those of the record.
    :param places: the kinds of stacks that have such records.
    """

    folder: str
    key_field: str | None = None
    omitted: Mapping[str, object] = field(default_factory=dict)
    convert: Callable[[dict[str, Any]], None] | None = None
    places: tuple[Place, ...] = ("stack",)


def _convert_waiter(fields: dict[str, Any]) -> None:
    try:
        Definition.parse(fields["definition"])
    except Invalid:
        # The text of the error would contain the definition.
        raise ValueError("its definition cannot be read") from None
    progress = fields["progress"]
    if progress is not None:
        names = {name: tuple(progress[name]) for name in ("missing", "failing")}
        fields["progress"] = Progress(progress["satisfied"], progress["needed"], **names)


def _check_alarm(fields: dict[str, Any]) -> None:
    try:
        AlarmDefinition.parse(fields["definition"])
    except Invalid:
        # The text of the error would contain the definition.
        raise ValueError("its definition cannot be read") from None
    value = fields["value"]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("its value is not a number")


def _check_kept_value(fields: dict[str, Any]) -> None:
    if not 0 <= fields["slot"] < KEEP_VALUES_MAX:
        raise ValueError("there is no such slot")
    json.loads(fields["text"])


def _check_receipt(fields: dict[str, Any]) -> None:
    entries = json.loads(fields["results"])
    if not isinstance(entries, list):
        raise ValueError("its results are not an array")
    for entry in entries:
        if not (isinstance(entry["outcome"], str) and isinstance(entry.get("fact"), dict | None)):
            raise ValueError("a result is malformed")


def _convert_read_set(fields: dict[str, Any]) -> None:
    names = ("facts", "members", "groups")
    if not all(isinstance(fields[name], list) for name in names):
        raise ValueError("its patterns are not arrays")
    parts = {name: tuple(fields[name]) for name in names}
    checked = ReadSet.of(fields["member"], **parts)
    if parts != {name: getattr(checked, name) for name in parts}:
        raise ValueError("its patterns are not sorted")
    fields.update(parts)


def _convert_action(fields: dict[str, Any]) -> None:
    members = [tuple(pair) for pair in fields["members"]]
    if not all(len(pair) == 2 and all(isinstance(e, str) for e in pair) for pair in members):
        raise ValueError("its members are not pairs of a name and a generation")
    fields["members"] = tuple(members)
    if not isinstance(json.loads(fields["definition"]), dict):
        raise ValueError("its definition is not an object")


def _check_action_result(fields: dict[str, Any]) -> None:
    if not isinstance(json.loads(fields["outputs"]), dict):
        raise ValueError("its outputs are not an object")


def _convert_blocked_reads(fields: dict[str, Any]) -> None:
    entries = []
    for party, path, since, requests in fields["entries"]:
        kind, name = party
        texts = (name, path, since)
        if kind not in PARTY_KINDS or not all(isinstance(text, str) for text in texts):
            raise ValueError("an entry does not name a reader, a path and an instant")
        if type(requests) is not int:
            raise ValueError("an entry has no number of requests")
        entries.append(BlockedRead(Party(kind, name), path, since, requests))
    fields["entries"] = tuple(entries)


def _convert_flapping(fields: dict[str, Any]) -> None:
    for name in ("paths", "writers"):
        if not isinstance(fields[name], list):
            raise ValueError("its names are not an array")
        fields[name] = tuple(fields[name])


def _convert_subscription(fields: dict[str, Any]) -> None:
    for name in ("stacks", "types", "prefixes", "groups", "alarms", "secrets"):
        if not isinstance(fields[name], list):
            raise ValueError("a filter is not an array")
        fields[name] = tuple(fields[name])
    if not 1 <= len(fields["secrets"]) <= 2:
        raise ValueError("it does not have one or two secrets")
    Cursor.parse(fields["start"])


def _convert_deliveries(fields: dict[str, Any]) -> None:
    Cursor.parse(fields["cursor"])
    if not isinstance(fields["log"], list):
        raise ValueError("its log is not an array")
    fields["log"] = tuple(fields["log"])


RECORD_FORMATS: dict[type[Record], RecordFormat] = {
    # members/<name>, on the lease of the member, like its bound facts
    Member: RecordFormat(
        "members",
        key_field="name",
        omitted={"declared": None, "number": 0, "told": 0, "listed": 0, "join_key": "", "cause": 0},
    ),
    # declarations/<name>
    Declaration: RecordFormat("declarations", key_field="name"),
    # applied/<member>, on the lease of the member
    Applied: RecordFormat("applied", key_field="member"),
    # read_sets/<member>, on the lease of the member
    ReadSet: RecordFormat("read_sets", key_field="member", convert=_convert_read_set),
    # waiters/<name>
    Waiter: RecordFormat(
        "waiters", key_field="name", omitted={"history_lost_at": None}, convert=_convert_waiter
    ),
    # timers/<waiter>, on a lease that expires when the waiter times out
    Timer: RecordFormat("timers", key_field="waiter"),
    # signals/<waiter>/<hash of the signal's id>
    Signal: RecordFormat("signals", key_field="waiter"),
    # alarms/<name>
    Alarm: RecordFormat(
        "alarms", key_field="name", omitted={"history_lost_at": None}, convert=_check_alarm
    ),
    # alarm_timers/<alarm>/<phase>, on a lease that expires when the phase is over
    AlarmTimer: RecordFormat("alarm_timers", key_field="alarm"),
    # marks/dropped
    DeletionMarker: RecordFormat("marks", omitted={"deletions": None}),
    # configurations/order
    ConfigurationOrder: RecordFormat("configurations"),
    # conditions/room
    ConditionRoom: RecordFormat("conditions"),
    # blocked_reads/<worker>, on the lease of the worker
    BlockedReads: RecordFormat("blocked_reads", key_field="worker", convert=_convert_blocked_reads),
    # reports/stuck
    StuckReport: RecordFormat("reports"),
    # flapping/<hash of the path>, on a lease that ends some time after the last change of the path
    FlappingReport: RecordFormat("flapping", convert=_convert_flapping),
    # kept/<path>/~<slot>
    KeptValue: RecordFormat(
        "kept", omitted={"deleted_by": None, "delete_request": None}, convert=_check_kept_value
    ),
    # actions/<id>, on the lease of the action
    Action: RecordFormat("actions", key_field="id", convert=_convert_action),
    # action_timers/<action>, on a lease that expires when the action times out
    ActionTimer: RecordFormat("action_timers", key_field="action"),
    # action_results/<action>/<member>, on the lease of the action
    ActionResult: RecordFormat("action_results", key_field="action", convert=_check_action_result),
    # grants/<id>, on a lease that expires soon after the grant
    Grant: RecordFormat("grants", key_field="id"),
    # seals/key
    DataKey: RecordFormat("seals"),
    # pulses/<monitored lease>, on a lease of its own; on the monitored lease once it has ended
    Pulse: RecordFormat("pulses", key_field="monitored"),
    # endings/count
    Endings: RecordFormat("endings"),
    # restorations/count
    Restorations: RecordFormat("restorations"),
    # turns/<queue>/<member>, on the lease of the member
    Turn: RecordFormat("turns", key_field="queue"),
    # ranks/<queue>/<number>, on the lease of the member
    Rank: RecordFormat("ranks", key_field="queue"),
    # receipts/<hash of the key>, on a lease that the receipts of half an hour share
    Receipt: RecordFormat(
        "receipts", key_field="key", convert=_check_receipt, places=("stack", "project")
    ),
    # subscriptions/<id>
    Subscription: RecordFormat(
        "subscriptions", key_field="id", convert=_convert_subscription, places=("project",)
    ),
    # deliveries/<subscription>
    DeliveryState: RecordFormat(
        "deliveries", key_field="subscription", convert=_convert_deliveries, places=("project",)
    ),
    # owners/<subscription>, on the lease of the notifier
    Owner: RecordFormat("owners", key_field="subscription", places=("project",)),
    # notifiers/<name>, on the lease of the notifier
    Notifier: RecordFormat("notifiers", key_field="name", places=("service",)),
}
"""Every class of records has a row.  Stored keys and values depend on it, so rows do not change."""
