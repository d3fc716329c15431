"""``OS::FactStore::Waiter``: creation is complete when a condition holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from heat.common import exception
from heat.engine import attributes, constraints, properties

from factstore.client import errors
from factstore.client.urls import item_url
from factstore.heat.resources.bag_scoped import YEAR, InsideBag, bag_schema, curl, named
from factstore.heat.resources.waiter_poll import Waiting

_NAME_LENGTH = 128


class Waiter(InsideBag):
    """Waits, in the course of a stack's creation, until a condition over facts and members holds.

    The resource is complete when the waiter is met. When it has failed, or its time is over, the
    resource fails, and says who failed or who is missing. Without a condition it waits for signals, as
    OS::Heat::WaitCondition does. An update with another definition, or another value of arm, waits
    anew; so does the next update of a stack that failed here.

    What it waits for must not depend on it: a server whose user data has its curl_cli is made only
    after the wait. Give the waiter a name, and the server an OS::FactStore::Grant: signals go to that
    grant's url with /waiters/NAME/signal added.
    """

    physical_resource_name_limit = _NAME_LENGTH

    PROPERTIES = (BAG, NAME, SUCCESS, FAILURE, COUNT, TIMEOUT, EXTEND, ARM) = (
        "bag",
        "name",
        "success",
        "failure",
        "count",
        "timeout",
        "extend_on_progress",
        "arm",
    )
    ATTRIBUTES = (DATA, STATE, MISSING, SIGNAL_URL, CURL_CLI) = (
        "data",
        "state",
        "missing",
        "signal_url",
        "curl_cli",
    )

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: bag_schema(),
        NAME: properties.Schema(
            properties.Schema.STRING,
            "What the waiter is called in the data bag, where no other has that name. The default is "
            "made of the names of stack and resource. Another name makes another waiter.",
            constraints=[named("A waiter's name")],
        ),
        SUCCESS: properties.Schema(
            properties.Schema.MAP,
            "The condition that completes the resource: facts, every_member, converged, signals, and "
            "all or any of such, as the API has them. The default is count signals.",
            update_allowed=True,
        ),
        FAILURE: properties.Schema(
            properties.Schema.MAP,
            "The condition that fails it at once, whatever success says. A signal of failure does so, "
            "too, where signals are waited for.",
            update_allowed=True,
        ),
        COUNT: properties.Schema(
            properties.Schema.INTEGER,
            "How many signals of success to wait for, in the place of a condition. The default is 1.",
            constraints=[constraints.Range(1, 1000)],
            update_allowed=True,
        ),
        TIMEOUT: properties.Schema(
            properties.Schema.INTEGER,
            "Seconds after which the wait has failed. Let it end before the stack's own time does, "
            "which is an hour as a rule: Heat's word on that does not say who is missing.",
            default=1800,
            constraints=[constraints.Range(1, 30 * 24 * 3600)],
            update_allowed=True,
        ),
        EXTEND: properties.Schema(
            properties.Schema.BOOLEAN,
            "Whether each progress starts the time anew.",
            default=False,
            update_allowed=True,
        ),
        ARM: properties.Schema(
            properties.Schema.ANY,
            "Any value. When an update changes it, the waiter is armed anew: give it what is to have "
            "been rolled out, such as a version.",
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        DATA: attributes.Schema(
            "What was signalled as data, by the signals' ids.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.MAP,
        ),
        STATE: attributes.Schema(
            "pending, met, failed or timed_out, now.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
        MISSING: attributes.Schema(
            "What does not hold yet, now: paths, members' names, or the word signals.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.LIST,
        ),
        SIGNAL_URL: attributes.Schema(
            "Where signals are POSTed to, with the body of those to OS::Heat::WaitConditionHandle. "
            "There is no secret in it: any agent's grant of the data bag may signal.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
        CURL_CLI: attributes.Schema(
            "The command that signals, for whoever is not made by this stack. The credential in it may "
            "also read the data bag, and write below nodes/waiter:NAME/. Add --data-binary "
            '\'{"status": "SUCCESS"}\', or FAILURE with a reason, and an id where several signals are '
            "counted: each id counts once. Null where no signals are waited for.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
    }

    def live(self, name: str) -> Any:
        """An attribute."""
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

    def exists(self) -> bool:
        """Whether the waiter is there."""
        try:
            self.bag.waiter(self.resource_id).show()
        except errors.NotFound:
            return False
        return True

    def remove(self) -> None:
        """Delete the waiter, and revoke the grant that signals to it."""
        self.revoke()
        self.bag.waiter(self.resource_id).delete()

    # Heat's hooks

    def validate(self) -> None:
        """Refuse what contradicts itself."""
        super().validate()
        if self.SUCCESS in self.properties.data and self.COUNT in self.properties.data:
            raise exception.StackValidationFailed(
                message="count and success say the same thing twice: for so many signals and more, "
                "give success: {all: [{signals: N}, ...]}, and no count."
            )

    def handle_create(self) -> Waiting:
        """Arm it."""
        name = self.properties[self.NAME] or re.sub(
            r"[^A-Za-z0-9_.:@-]", "_", self.physical_resource_name()
        )
        self.bag.describe()  # a waiter of its own would make one
        try:
            self._arm(name, self.properties, create_only=True)
        except errors.PreconditionFailed as error:
            raise exception.Error(
                f"the data bag has a waiter named {name} already, and two resources never share one: "
                "choose another name, or delete that waiter."
            ) from error
        except errors.OutcomeUnknown:
            self.resource_id_set(name)  # it may be there, and is to be removed
            raise
        self.resource_id_set(name)
        self._see_to_grant(self.properties)
        return self._waiting()

    def check_create_complete(self, waiting: Waiting) -> bool:
        """Whether it is met, asked without waiting."""
        return waiting.over()

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> Waiting:
        """Arm it anew, unless it is met and what it is about has not changed."""
        wished = json_snippet.properties(self.properties_schema, self.context)
        waiter = self.bag.waiter(self.resource_id)
        state = None
        with self.client_plugin().ignore_not_found:
            state = waiter.show().state
        if state != "met" or prop_diff:
            if state == "pending":
                waiter.delete()  # so that neither its time nor its signals go on
            self._arm(self.resource_id, wished)
            self._see_to_grant(wished)
        return self._waiting()

    def check_update_complete(self, waiting: Waiting) -> bool:
        """Whether it is met, asked without waiting."""
        return waiting.over()

    def handle_create_cancel(self, waiting: Waiting) -> None:
        """End at once when something else has failed, or the stack is deleted.

        Heat gives minutes of grace to what has no such handler, and its word of the failure waits too.
        """

    def handle_update_cancel(self, waiting: Waiting) -> None:
        """End at once, as when it is created."""

    def needs_replace_failed(self) -> bool:
        """Never once it was there: it is armed anew."""
        return self.resource_id is None

    def _waiting(self) -> Waiting:
        return Waiting(self.stack, self.properties[self.BAG], self.resource_id)

    def _arm(self, name: str, wished: properties.Properties, *, create_only: bool = False) -> None:
        self.bag.waiter(name).arm(
            self._success(wished),
            failure=wished[self.FAILURE] or None,
            timeout=wished[self.TIMEOUT],
            extend_on_progress=wished[self.EXTEND],
            create_only=create_only,
        )

    def _success(self, wished: properties.Properties) -> dict[str, Any]:
        given: dict[str, Any] = wished[self.SUCCESS]
        return given if self.SUCCESS in wished.data else {"signals": wished[self.COUNT] or 1}

    def _see_to_grant(self, wished: properties.Properties) -> None:
        """Have a grant that signals, if signals are waited for.

        It is for a member that no host is called, and that can join no group of others.
        """
        if not _hears(self._success(wished)):
            self.revoke()
        elif not self.renew(YEAR):
            member = f"waiter:{self.resource_id}"[:_NAME_LENGTH]
            self.issue(member=member, group="waiters", ttl=YEAR)

    def _signal_url(self) -> str:
        return f"{item_url(self.bag_url, 'waiters', self.resource_id)}/signal"


def _hears(condition: Any) -> bool:
    """Whether signals are part of a condition; factstore says what is wrong with one."""
    if not isinstance(condition, Mapping):
        return False
    parts = [part for name in ("all", "any") for part in _list(condition.get(name))]
    return "signals" in condition or any(map(_hears, parts))


def _list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []
