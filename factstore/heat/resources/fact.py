"""``OS::FactStore::Fact``: one fact, which the template writes or an agent is to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from heat.common import exception
from heat.engine import constraints, function, properties

from factstore.client import errors
from factstore.client.urls import fact_url
from factstore.heat.resources.bag_scoped import (
    NAME_PATTERN,
    YEAR,
    BagScoped,
    bag_schema,
    curl,
)
from factstore.heat.resources.base import Type, live_attribute
from factstore.heat.resources.fact_set import Digests, Ownership
from factstore.heat.resources.fact_set_resource import (
    KIND,
    READERS,
    SENSITIVE,
    FactSetResource,
    fact_schemas,
    writer,
)

_PATH = f"{NAME_PATTERN}(?:/{NAME_PATTERN}){{0,15}}"
_OWN = re.compile(f"(?:nodes|results)/({NAME_PATTERN})/.+")


class Fact(BagScoped, FactSetResource):
    """One fact.

    With a value, the template writes the fact and overwrites an existing one. Without a value the
    fact is a promise: an agent or a script will write it. The template can already use the fact's
    URL and the command that writes it. The resource does not wait for the promise; an
    OS::FactStore::Waiter does. When the resource is deleted the fact is deleted too, no matter who
    wrote it, unless another resource of the stack declares it.
    """

    BAG, PATH, VALUE, GRANT = "bag", "path", "value", "grant"
    PROPERTIES = (BAG, PATH, VALUE, KIND, SENSITIVE, READERS, GRANT)
    ATTRIBUTES = (VALUE_ATTR, URL, CURL_CLI) = ("value", "url", "curl_cli")
    HANDED_OUT = (URL, CURL_CLI)

    facts_property = VALUE

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: bag_schema(),
        PATH: properties.Schema(
            properties.Schema.STRING,
            "The path of the fact, such as nodes/head/ip. A promise with a grant must be below "
            "nodes/MEMBER/ or results/MEMBER/, where only that member writes.",
            required=True,
            constraints=[
                constraints.Length(max=512),
                constraints.AllowedPattern(
                    _PATH,
                    description="A path has at most 16 segments, joined by '/'. A segment begins "
                    "with a letter, a digit or '_' and continues with letters, digits and '_.:@-'.",
                ),
            ],
        ),
        VALUE: properties.Schema(
            properties.Schema.ANY,
            "Any JSON value but null. Without a value the fact is a promise. An update that removes "
            "the value deletes the fact and makes it a promise.",
            update_allowed=True,
        ),
        **fact_schemas(),
        GRANT: properties.Schema(
            properties.Schema.BOOLEAN,
            "Whether the resource issues a grant for curl_cli to the member that is to write a "
            "promise. Set it to false if the member's agent writes the fact with a grant of its "
            "own. It must be false for a member that enrols with a group's grant: a name that has "
            "another grant cannot be enrolled.",
            default=True,
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        VALUE_ATTR: live_attribute(
            None,
            "The current value of the fact. Null if a promise is not written yet, or if the "
            "value is sensitive.",
        ),
        URL: live_attribute(
            Type.STRING,
            "The URL of the fact, known before the fact exists. A GET waits up to 50 seconds for the "
            "fact; then it returns 404, and the client asks again. The response is the bare value, "
            "unless the property value is a map or a list. The URL contains no secret, so a reader "
            "needs a credential.",
        ),
        CURL_CLI: live_attribute(
            Type.STRING,
            "The command that writes a promise; it contains a credential. Add -d TEXT, or for any JSON "
            "-H 'Content-Type: application/json' and -d '{\"value\": VALUE}'. Null for a fact with a "
            "value, and without a grant.",
        ),
    }

    def declared(self, properties: properties.Properties) -> dict[str, Any]:
        """Return the value by its path; nothing for a promise."""
        if _is_promise(properties):
            return {}
        return {properties[self.PATH]: properties[self.VALUE]}

    def ownership(self, properties: Mapping[str, Any]) -> Ownership:
        """The fact is the resource's own, no matter who wrote it."""
        return Ownership(
            put=writer(properties),
            may_overwrite=lambda _: True,
            is_ours=lambda _fact, _digest: True,
        )

    def apply(self, properties: properties.Properties, former: Digests) -> None:
        """Write the value, or delete the fact and issue the grant of the member that will write it."""
        _check(properties)
        if not _is_promise(properties) and properties[self.VALUE] is None:
            raise exception.Error(
                "the value is null. To promise the fact, leave value out. If value is a get_attr, the "
                "attribute does not exist or has no value yet."
            )
        self.bag.describe()  # a write would create a missing stack
        has_grant = _is_promise(properties) and properties[self.GRANT]
        if not has_grant:
            self.revoke()
        super().apply(properties, former)
        if _is_bare(properties) != _is_bare(self.properties):
            self.forget_handed_out()  # the URL would request a form that the value does not have
        if has_grant and not self.renew(YEAR):
            self.issue(member=_member(properties[self.PATH]), ttl=YEAR)

    def attribute_value(self, name: str) -> Any:
        path = self.properties[self.PATH]
        if name == self.VALUE_ATTR:
            try:
                fact = self.bag.get(path)
            except errors.NotFound:
                return None
            return None if fact.sensitive else fact.value
        if name == self.URL:
            raw = "&format=raw" if _is_bare(self.properties) else ""
            return f"{fact_url(self.bag_url, path)}?wait=50{raw}"
        if self.token is None:
            return None
        return curl(fact_url(self.bag_url, path), self.token, "-X", "PUT")

    def is_own(self) -> bool:
        if not _is_promise(self.properties):
            self.bag.get(self.properties[self.PATH])
        return True

    def paths(self, properties: properties.Properties) -> list[str]:
        """Return the path, also that of a promise."""
        return [properties[self.PATH]]

    def remove(self) -> None:
        self.revoke()
        self.discard({self.properties[self.PATH]: ""})

    # Heat's hooks

    def validate(self) -> None:
        """Refuse contradictory properties, as far as they are known before the stack is created."""
        super().validate()
        if not any(function.dependencies(self.properties.data.get(self.PATH))):
            _check(self.properties)

    def handle_create(self) -> None:
        """Write the value, or issue the grant of the member that will write it."""
        path = self.properties[self.PATH]
        try:
            self.apply(self.properties, {})
        except errors.OutcomeUnknown:
            self.resource_id_set(path)  # the fact may exist, and must be deleted with the resource
            raise
        self.resource_id_set(path)
        self.hand_out()

    def needs_replace_failed(self) -> bool:
        """Return False once created: the replacement would have the same path."""
        return self.resource_id is None


def _is_promise(properties: properties.Properties) -> bool:
    # A value that Heat cannot resolve yet is present in the data.
    return Fact.VALUE not in properties.data


def _is_bare(properties: properties.Properties) -> bool:
    """Return whether the value is sent bare: any value but a map or a list."""
    return not isinstance(properties[Fact.VALUE], dict | list)


def _check(properties: properties.Properties) -> None:
    """Refuse contradictory properties.

    :raises heat.common.exception.StackValidationFailed: the properties contradict each other.
    """
    if _is_promise(properties):
        if properties[SENSITIVE] or properties[READERS]:
            wrong = (
                "a fact without a value is a promise, so sensitive and readers must not be set. The "
                "writer of the fact sets them."
            )
        elif properties[Fact.GRANT] and _member(properties[Fact.PATH]) is None:
            wrong = (
                f"{properties[Fact.PATH]!r} is not a path that a member may write. Promise a fact "
                "below nodes/MEMBER/ or results/MEMBER/, give the fact a value, or set grant to "
                "false and write the fact with a token."
            )
        else:
            return
    elif properties[READERS] and not properties[SENSITIVE]:
        wrong = "readers apply to a sensitive value only. Set sensitive to true as well."
    else:
        return
    raise exception.StackValidationFailed(message=wrong)


def _member(path: str) -> str | None:
    """Return the member that may write a path, or None if no member may."""
    found = _OWN.fullmatch(path)
    return found[1] if found else None
