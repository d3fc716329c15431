"""``OS::FactStore::Fact``: one fact, written here or promised by an agent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from heat.common import exception
from heat.engine import attributes, constraints, function, properties

from factstore.client import errors
from factstore.client.urls import fact_url
from factstore.heat.resources.bag_scoped import NAME_PATTERN, YEAR, InsideBag, bag_schema, curl

_PATH = f"{NAME_PATTERN}(?:/{NAME_PATTERN}){{0,15}}"
_OWN = re.compile(f"(?:nodes|results)/({NAME_PATTERN})/.+")


class Fact(InsideBag):
    """One named fact.

    With a value, the template writes it, over one that stands there already. Without a value it is a
    promise: an agent or a script will write it, and the template can hand out already where it will
    be, and the command that keeps the promise. Creation does not wait for that: an
    OS::FactStore::Waiter does. The fact goes with the resource, whoever wrote it.
    """

    PROPERTIES = (BAG, PATH, VALUE, KIND, SENSITIVE, READERS, GRANT) = (
        "bag",
        "path",
        "value",
        "kind",
        "sensitive",
        "readers",
        "grant",
    )
    ATTRIBUTES = (VALUE_ATTR, URL, CURL_CLI) = ("value", "url", "curl_cli")

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: bag_schema(),
        PATH: properties.Schema(
            properties.Schema.STRING,
            "Where the fact is, such as nodes/head/ip. A promise with a grant is below nodes/MEMBER/ "
            "or results/MEMBER/: there that member writes, and nobody else.",
            required=True,
            constraints=[
                constraints.Length(max=512),
                constraints.AllowedPattern(
                    _PATH,
                    description="A path is at most 16 segments joined by '/'. A segment begins with a "
                    "letter, a digit or '_', and goes on with letters, digits and '_.:@-'.",
                ),
            ],
        ),
        VALUE: properties.Schema(
            properties.Schema.ANY,
            "Any JSON value but null. Without it the fact is promised. An update that takes it away "
            "removes the fact, which is promised from then on.",
            update_allowed=True,
        ),
        KIND: properties.Schema(
            properties.Schema.STRING,
            "What a value is: observed, as what agents tell, or a parameter, which instances read, and "
            "only the owner changes.",
            default="observed",
            constraints=[constraints.AllowedValues(["observed", "parameter"])],
            update_allowed=True,
        ),
        SENSITIVE: properties.Schema(
            properties.Schema.BOOLEAN,
            "Whether the value is a secret: sealed by factstore, shown to few, and null in attributes. "
            "Heat keeps it in its database with the other properties.",
            default=False,
            update_allowed=True,
        ),
        READERS: properties.Schema(
            properties.Schema.LIST,
            "Who may see a secret beside those whom factstore's policy lets: group/NAME, member/NAME.",
            schema=properties.Schema(properties.Schema.STRING),
            default=[],
            update_allowed=True,
        ),
        GRANT: properties.Schema(
            properties.Schema.BOOLEAN,
            "Whether a promise comes with a grant for the member that it is by, for curl_cli. Say "
            "false where the member's agent keeps it with a grant that it has. It must be false for "
            "members that enrol by the grant of a group: no name is enrolled for which there is "
            "another grant.",
            default=True,
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        VALUE_ATTR: attributes.Schema(
            "The value that the fact has now; null until a promise is kept, and of a secret.",
            cache_mode=attributes.Schema.CACHE_NONE,
        ),
        URL: attributes.Schema(
            "Where the fact can be read, known before it is: a GET is answered when the fact is "
            "there, or with 404 after 50 seconds, to be asked again. The answer is the bare value, "
            "unless it is declared as a map or a list. There is no secret in the URL: who reads "
            "needs a credential.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
        CURL_CLI: attributes.Schema(
            "The command that keeps a promise, with a credential in it. Add -d TEXT, or for any JSON "
            "-H 'Content-Type: application/json' and -d '{\"value\": VALUE}'. Null for a fact with a "
            "value, and without a grant.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
    }

    def live(self, name: str) -> Any:
        """An attribute."""
        path = self.properties[self.PATH]
        if name == self.VALUE_ATTR:
            try:
                fact = self.bag.get(path)
            except errors.NotFound:
                return None
            return None if fact.sensitive else fact.value
        if name == self.URL:
            bare = not isinstance(self.properties[self.VALUE], dict | list)
            return f"{fact_url(self.bag_url, path)}?wait=50{'&format=raw' if bare else ''}"
        if self.token is None:
            return None
        return curl(fact_url(self.bag_url, path), self.token, "-X", "PUT")

    def exists(self) -> bool:
        """Whether a fact with a value is there; a promise stands, kept or not."""
        if _promised(self.properties):
            return True
        try:
            self.bag.get(self.properties[self.PATH])
        except errors.NotFound:
            return False
        return True

    def remove(self) -> None:
        """Delete the fact and revoke the grant."""
        self.revoke()
        self.bag.delete(self.properties[self.PATH])

    # Heat's hooks

    def validate(self) -> None:
        """Refuse what can never be, as far as its parts are known before anything is created."""
        super().validate()
        if not any(function.dependencies(self.properties.data.get(self.PATH))):
            _check(self.properties)

    def handle_create(self) -> None:
        """Write the value, or issue the grant of who will."""
        try:
            self._fulfil(self.properties)
        except errors.OutcomeUnknown:
            self.resource_id_set(
                self.properties[self.PATH]
            )  # it may be there, and is to be removed
            raise
        self.resource_id_set(self.properties[self.PATH])

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> None:
        """Write it anew, or make a promise of it."""
        wished = json_snippet.properties(self.properties_schema, self.context)
        if _promised(wished) and not _promised(self.properties):
            with self.client_plugin().ignore_not_found:
                self.bag.delete(self.properties[self.PATH])
        self._fulfil(wished)

    def needs_replace_failed(self) -> bool:
        """Never once it was there: the other one would have the same path, and be removed with this."""
        return self.resource_id is None

    def _fulfil(self, wished: properties.Properties) -> None:
        _check(wished)
        self.bag.describe()  # a write of its own would make one
        if _promised(wished) and wished[self.GRANT]:
            if not self.renew(YEAR):
                self.issue(member=_member(wished[self.PATH]), ttl=YEAR)
            return
        self.revoke()
        if not _promised(wished):
            if wished[self.VALUE] is None:
                raise exception.Error(
                    "the value is null. To promise the fact, leave value out; where it is a get_attr, "
                    "its resource has no such attribute, or not yet."
                )
            self.bag.put(
                wished[self.PATH],
                wished[self.VALUE],
                kind=wished[self.KIND],
                sensitive=wished[self.SENSITIVE],
                readers=wished[self.READERS],
            )


def _promised(wished: properties.Properties) -> bool:
    """Whether no value is given; one that is not known yet is given."""
    return Fact.VALUE not in wished.data


def _check(wished: properties.Properties) -> None:
    """Refuse what contradicts itself.

    :raises heat.common.exception.StackValidationFailed: it does.
    """
    if _promised(wished):
        if wished[Fact.SENSITIVE] or wished[Fact.READERS]:
            wrong = (
                "a fact without a value is a promise; whoever writes it says whether it is sensitive, "
                "and who its readers are."
            )
        elif wished[Fact.GRANT] and _member(wished[Fact.PATH]) is None:
            wrong = (
                f"{wished[Fact.PATH]!r} is no member's to write. A promise lies below nodes/MEMBER/ or "
                "results/MEMBER/; else give the fact a value, or say grant: false and have it written "
                "with a token."
            )
        else:
            return
    elif wished[Fact.READERS] and not wished[Fact.SENSITIVE]:
        wrong = "readers are of a sensitive value; say sensitive: true as well."
    else:
        return
    raise exception.StackValidationFailed(message=wrong)


def _member(path: str) -> str | None:
    """Whose fact is at a path; None if it is nobody's."""
    found = _OWN.fullmatch(path)
    return found[1] if found else None
