"""``OS::FactStore::Waiter``: the stack waits until a condition is met."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from heat.common import exception
from heat.engine import constraints, properties

from factstore.client import errors
from factstore.client.urls import item_url
from factstore.heat.resources.bag_scoped import (
    YEAR,
    BagScoped,
    bag_schema,
    curl,
    name_constraint,
)
from factstore.heat.resources.base import Type, live_attribute
from factstore.heat.resources.waiter_poll import WaiterPoll

_NAME_LENGTH = 128


class Waiter(BagScoped):
    """Waits, while a stack is created, until a condition on facts and members is met.

    The resource is complete when the waiter is met. If the waiter fails or times out, the resource
    fails and states which members failed or are missing. Without a condition it waits for signals,
    like OS::Heat::WaitCondition. An update with another definition or another value of arm waits
    again, and so does the next update of a stack that failed here.

    Resources that the waiter waits for must not depend on it: a server whose user data contains its
    curl_cli is created only after the wait. Instead, give the waiter a name and the server an
    OS::FactStore::Grant. The server sends its signals to the url of that grant with
    /waiters/NAME/signal appended.
    """

    physical_resource_name_limit = _NAME_LENGTH

    PROPERTIES = (BAG, NAME, SUCCESS, FAILURE, COUNT, TIMEOUT, EXTEND, FAIL, ARM) = (
        "bag",
        "name",
        "success",
        "failure",
        "count",
        "timeout",
        "extend_on_progress",
        "fail_when_stuck",
        "arm",
    )
    ATTRIBUTES = (DATA, STATE, MISSING, SIGNAL_URL, CURL_CLI) = (
        "data",
        "state",
        "missing",
        "signal_url",
        "curl_cli",
    )

    HANDED_OUT = (SIGNAL_URL, CURL_CLI)

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: bag_schema(),
        NAME: properties.Schema(
            properties.Schema.STRING,
            "The waiter's name, unique in the data bag. The default is built from the names of the "
            "stack and the resource. An update with another name creates another waiter.",
            constraints=[name_constraint("A waiter's name")],
        ),
        SUCCESS: properties.Schema(
            properties.Schema.MAP,
            "The condition that completes the resource: facts, every_member, converged, signals, or "
            "all or any of several, as in the API, with equals, present, at_least, at_most, in or "
            "match. The default is count signals.",
            update_allowed=True,
        ),
        FAILURE: properties.Schema(
            properties.Schema.MAP,
            "The condition that fails the resource at once, even if success is met. A signal of "
            "failure also does if the waiter waits for signals.",
            update_allowed=True,
        ),
        COUNT: properties.Schema(
            properties.Schema.INTEGER,
            "The number of signals of success to wait for, instead of a condition. The default is 1.",
            constraints=[constraints.Range(1, 1000)],
            update_allowed=True,
        ),
        TIMEOUT: properties.Schema(
            properties.Schema.INTEGER,
            "Seconds after which the wait fails. Choose less than the stack's own timeout, usually an "
            "hour: if the stack times out first, Heat's error does not state who is missing.",
            default=1800,
            constraints=[constraints.Range(1, 30 * 24 * 3600)],
            update_allowed=True,
        ),
        EXTEND: properties.Schema(
            properties.Schema.BOOLEAN,
            "Whether progress restarts the timeout.",
            default=False,
            update_allowed=True,
        ),
        FAIL: properties.Schema(
            properties.Schema.INTEGER,
            "Seconds after which the wait fails if it cannot end, because members wait for each other "
            "or for facts of members that do not exist. The error states the circle. Choose more "
            "than the slowest node needs to publish its facts. The default is to wait until the "
            "timeout.",
            constraints=[constraints.Range(1, 30 * 24 * 3600)],
            update_allowed=True,
        ),
        ARM: properties.Schema(
            properties.Schema.ANY,
            "Any value. An update that changes it arms the waiter again. Use a value that changes with "
            "each rollout, such as a version.",
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        DATA: live_attribute(
            Type.MAP,
            "The data of the signals, by the ids of the signals.",
        ),
        STATE: live_attribute(
            Type.STRING,
            "The current state: pending, met, failed or timed_out.",
        ),
        MISSING: live_attribute(
            Type.LIST,
            "The paths and members that the condition still lacks, or the word signals.",
        ),
        SIGNAL_URL: live_attribute(
            Type.STRING,
            "The URL to which signals are POSTed, with the same body as for "
            "OS::Heat::WaitConditionHandle. It contains no secret; every agent's grant for the data "
            "bag may signal.",
        ),
        CURL_CLI: live_attribute(
            Type.STRING,
            "A command that signals, for clients that this stack does not create. Its credential may "
            "also read the data bag and write below nodes/waiter:NAME/. Add --data-binary "
            '\'{"status": "SUCCESS"}\', or FAILURE with a reason. If several signals are counted, '
            "add an id: each id counts once. Null if the waiter does not wait for signals.",
        ),
    }

    def attribute_value(self, name: str) -> Any:
        if name == self.SIGNAL_URL:
            return self._signal_url()
        if name == self.CURL_CLI:
            if self.token is None:
                return None
            kind = "Content-Type: application/json"
            return curl(self._signal_url(), self.token, "-X", "POST", "-H", kind)
        record = self.bag.waiter(self.resource_id).show()
        if name == self.DATA:
            return {each: signal["data"] for each, signal in (record.signals or {}).items()}
        return record.state if name == self.STATE else list(record.missing)

    def is_own(self) -> bool:
        self.bag.waiter(self.resource_id).show()
        return True

    def remove(self) -> None:
        self.revoke()
        self.bag.waiter(self.resource_id).delete()

    # Heat's hooks

    def validate(self) -> None:
        """Refuse contradictory properties."""
        super().validate()
        if self.SUCCESS in self.properties.data and self.COUNT in self.properties.data:
            raise exception.StackValidationFailed(
                message="count and success exclude each other. To wait for signals and for more, leave "
                "count out and set success to {all: [{signals: N}, ...]}."
            )

    def handle_create(self) -> WaiterPoll:
        name = self.properties[self.NAME] or re.sub(
            r"[^A-Za-z0-9_.:@-]", "_", self.physical_resource_name()
        )
        self.bag.describe()  # arming a waiter would create a missing stack
        try:
            self._arm(name, self.properties, create_only=True)
        except errors.PreconditionFailed as error:
            raise exception.Error(
                f"the data bag already has a waiter named {name}, and two resources cannot share one. "
                "Choose another name or delete that waiter."
            ) from error
        except errors.OutcomeUnknown:
            self.resource_id_set(
                name
            )  # the waiter may exist, and must be deleted with the resource
            raise
        self.resource_id_set(name)
        self._issue_grant_if_needed(self.properties)
        self.hand_out()
        return self._poll()

    def check_create_complete(self, poll: WaiterPoll) -> bool:
        """Return whether the waiter is met, without blocking."""
        return poll.is_done()

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> WaiterPoll:
        """Arm the waiter again, unless it is met and its definition has not changed."""
        after = json_snippet.properties(self.properties_schema, self.context)
        waiter = self.bag.waiter(self.resource_id)
        state = None
        with self.client_plugin().ignore_not_found:
            state = waiter.show().state
        if state != "met" or prop_diff:
            if state == "pending":
                waiter.delete()  # ends its timeout and discards its signals
            self._arm(self.resource_id, after)
            self._issue_grant_if_needed(after)
        return self._poll()

    def check_update_complete(self, poll: WaiterPoll) -> bool:
        """Return whether the waiter is met, without blocking."""
        return poll.is_done()

    def handle_create_cancel(self, poll: WaiterPoll) -> None:
        """End at once if another resource fails or the stack is deleted.

        Without this handler Heat would give the resource minutes of grace, and report the failure
        after.
        """

    def handle_update_cancel(self, poll: WaiterPoll) -> None:
        """End at once, as during the creation."""

    def needs_replace_failed(self) -> bool:
        """Return False once the waiter was created: an update arms it again."""
        return self.resource_id is None

    def _poll(self) -> WaiterPoll:
        return WaiterPoll(self.stack, self.properties[self.BAG], self.resource_id)

    def _arm(self, name: str, given: properties.Properties, *, create_only: bool = False) -> None:
        self.bag.waiter(name).arm(
            self._success(given),
            failure=given[self.FAILURE] or None,
            timeout=given[self.TIMEOUT],
            extend_on_progress=given[self.EXTEND],
            fail_when_stuck=given[self.FAIL],
            create_only=create_only,
        )

    def _success(self, given: properties.Properties) -> dict[str, Any]:
        condition: dict[str, Any] = given[self.SUCCESS]
        return condition if self.SUCCESS in given.data else {"signals": given[self.COUNT] or 1}

    def _issue_grant_if_needed(self, given: properties.Properties) -> None:
        """Issue or renew the grant of curl_cli if the waiter waits for signals, else revoke it.

        The grant's member and group have names that no host and no other group has.
        """
        if not _waits_for_signals(self._success(given)):
            self.revoke()
        elif not self.renew(YEAR):
            member = f"waiter:{self.resource_id}"[:_NAME_LENGTH]
            self.issue(member=member, group="waiters", ttl=YEAR)

    def _signal_url(self) -> str:
        return f"{item_url(self.bag_url, 'waiters', self.resource_id)}/signal"


def _waits_for_signals(condition: Any) -> bool:
    """Return whether a condition contains signals.  factstore validates the condition."""
    if not isinstance(condition, Mapping):
        return False
    parts = [part for name in ("all", "any") for part in _list(condition.get(name))]
    return "signals" in condition or any(map(_waits_for_signals, parts))


def _list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []
