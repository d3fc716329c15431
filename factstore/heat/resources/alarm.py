"""``OS::FactStore::Alarm``: a condition on facts that becomes true and false again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from heat.common import exception
from heat.engine import constraints, properties

from factstore.client import Alarm as ClientAlarm
from factstore.client import errors
from factstore.heat.resources.bag_scoped import BagScoped, bag_schema, name_constraint
from factstore.heat.resources.base import Type, live_attribute

_NAME_LENGTH = 128
_DAY = 24 * 3600
_SUBSCRIPTIONS = "subscriptions"
_EVENTS = {
    "alarm_actions": ["alarm.raised", "alarm.repeated"],
    "ok_actions": ["alarm.cleared"],
}


def _seconds(text: str) -> properties.Schema:
    return properties.Schema(
        properties.Schema.INTEGER,
        text,
        default=0,
        constraints=[constraints.Range(0, _DAY)],
        update_allowed=True,
    )


def _actions(when: str) -> properties.Schema:
    return properties.Schema(
        properties.Schema.LIST,
        f"The signed URLs that receive a signal when the alarm {when}, such as the alarm_url of an "
        "OS::Heat::ScalingPolicy.",
        schema=properties.Schema(properties.Schema.STRING),
        default=[],
        update_allowed=True,
    )


class Alarm(BagScoped):
    """A condition on facts and members that becomes true and false again.

    Unlike an OS::FactStore::Waiter, the resource is complete at once, and never fails because of its
    condition. With an aggregate of a number that the members publish, and the alarm_url of scaling
    policies as actions, a group scales by the load of its own software, as with OS::Aodh resources by
    the load of its machines.

    Each action is a subscription of factstore to the alarm's events, so it is delivered at least once,
    and repeated until Heat accepts it. Heat ignores a signal while the group is already scaling, and
    during the policy's cooldown; with repeat, a further signal follows.
    """

    physical_resource_name_limit = _NAME_LENGTH

    PROPERTIES = (BAG, NAME, CONDITION, FOR, QUIET, REPEAT, NO_DATA, ALARM_ACTIONS, OK_ACTIONS) = (
        "bag",
        "name",
        "condition",
        "for",
        "quiet",
        "repeat",
        "no_data",
        "alarm_actions",
        "ok_actions",
    )
    ATTRIBUTES = (STATE, VALUE, REASON) = ("state", "value", "reason")

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: bag_schema(),
        NAME: properties.Schema(
            properties.Schema.STRING,
            "The alarm's name, unique in the data bag. The default is built from the names of the "
            "stack and the resource. An update with another name creates another alarm.",
            constraints=[name_constraint("An alarm's name")],
        ),
        CONDITION: properties.Schema(
            properties.Schema.MAP,
            "The condition that raises the alarm: an aggregate, facts, every_member, converged, or all "
            "or any of several, as in the API. For example {aggregate: {function: avg, fact: load, "
            "group: web, at_least: 0.8, clear: 0.5}}.",
            required=True,
            update_allowed=True,
        ),
        FOR: _seconds("Seconds for which the condition must have changed before the state does."),
        QUIET: _seconds("Seconds after a change of the state in which it does not change again."),
        REPEAT: _seconds(
            "Seconds between repetitions while the alarm is raised; 0 for none. Choose more than the "
            "cooldown of the scaling policies."
        ),
        NO_DATA: properties.Schema(
            properties.Schema.STRING,
            "The state of the alarm while its condition has no data: ok, alarm, no_data, or keep for "
            "the state that it has.",
            default="keep",
            constraints=[constraints.AllowedValues(["keep", "ok", "alarm", "no_data"])],
            update_allowed=True,
        ),
        ALARM_ACTIONS: _actions("is raised, and whenever it is repeated"),
        OK_ACTIONS: _actions("is cleared"),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        STATE: live_attribute(Type.STRING, "The current state: ok, alarm or no_data."),
        VALUE: live_attribute(
            None,
            "The present number of the aggregate. Null if the condition has none, or has no data.",
        ),
        REASON: live_attribute(
            Type.STRING, "A sentence on the last change of the state. Null before the first."
        ),
    }

    def attribute_value(self, name: str) -> Any:
        record = self._alarm.show()
        if name == self.VALUE:
            return record.current["value"] if record.current else None
        return record.state if name == self.STATE else record.reason

    def is_own(self) -> bool:
        self._alarm.show()
        return True

    def remove(self) -> None:
        self._alarm.delete()

    @property
    def _alarm(self) -> ClientAlarm:
        return self.bag.alarm(self.resource_id)

    # Heat's hooks

    def handle_create(self) -> None:
        name = self.properties[self.NAME] or re.sub(
            r"[^A-Za-z0-9_.:@-]", "_", self.physical_resource_name()
        )
        self.bag.describe()  # an alarm would create a missing stack
        self._subscribe(name, self.properties)  # before the first event
        try:
            self._set(name, self.properties, create_only=True)
        except errors.PreconditionFailed as error:
            raise exception.Error(
                f"the data bag already has an alarm named {name}, and two resources cannot share one. "
                "Choose another name or delete that alarm."
            ) from error
        except errors.OutcomeUnknown:
            self.resource_id_set(name)  # the alarm may exist, and must be deleted with the resource
            raise
        self.resource_id_set(name)

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> None:
        """Change the definition; the alarm keeps its state."""
        after = json_snippet.properties(self.properties_schema, self.context)
        former = self._subscriptions if prop_diff.keys() & _EVENTS.keys() else []
        if prop_diff.keys() & _EVENTS.keys():
            self._subscribe(self.resource_id, after)
        self._set(self.resource_id, after)
        self._unsubscribe(former)

    def handle_delete(self) -> None:
        """Delete the alarm and its subscriptions, also those of a creation that failed."""
        self._unsubscribe(self._subscriptions)
        super().handle_delete()

    @property
    def _subscriptions(self) -> list[str]:
        """The ids of the subscriptions."""
        found: list[str] = json.loads(self.data().get(_SUBSCRIPTIONS) or "[]")
        return found

    def _subscribe(self, name: str, given: properties.Properties) -> None:
        """Create the subscriptions of the actions."""
        for actions, types in _EVENTS.items():
            for url in given[actions] or []:
                record = self.factstore.subscribe(
                    f"heat-signal:{url}",
                    name=f"{self.stack.name}/{self.name}",
                    stacks=[self.properties[self.BAG]],
                    types=types,
                    alarms=[name],
                )
                self._remember([*self._subscriptions, record.id])

    def _unsubscribe(self, subscriptions: Sequence[str]) -> None:
        for each in subscriptions:
            self.factstore.subscription(each).delete()
            self._remember([known for known in self._subscriptions if known != each])

    def _remember(self, subscriptions: Sequence[str]) -> None:
        self.data_set(_SUBSCRIPTIONS, json.dumps(subscriptions))

    def _set(self, name: str, given: properties.Properties, *, create_only: bool = False) -> None:
        self.bag.alarm(name).set(
            given[self.CONDITION],
            for_seconds=given[self.FOR],
            quiet=given[self.QUIET],
            repeat=given[self.REPEAT],
            no_data=given[self.NO_DATA],
            create_only=create_only,
        )
