"""The base class of resources that keep a set of facts in a stack."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Set
from functools import partial
from typing import Any

from heat.common import exception
from heat.engine import constraints, properties
from oslo_log import log as logging

from factstore.client import Put, Stack
from factstore.heat.resources.base import FactstoreResource
from factstore.heat.resources.claims import claim, claimed_by_others
from factstore.heat.resources.fact_set import (
    Digests,
    OwnedByOthers,
    Ownership,
    digests,
    matches,
    read_facts,
    reconcile,
    restore,
)

LOG = logging.getLogger(__name__)

_NOTE = "written-"

KIND, SENSITIVE, READERS = "kind", "sensitive", "readers"


def fact_schemas() -> dict[str, properties.Schema]:
    """Return the schemas of the properties ``kind``, ``sensitive`` and ``readers``."""
    return {
        KIND: properties.Schema(
            properties.Schema.STRING,
            "The kind of a fact with a value: observed, like the facts of agents, or a parameter, "
            "which instances can read and only the owner can change.",
            default="observed",
            constraints=[constraints.AllowedValues(["observed", "parameter"])],
            update_allowed=True,
        ),
        SENSITIVE: properties.Schema(
            properties.Schema.BOOLEAN,
            "Whether a value is a secret. factstore encrypts a sensitive value and shows it to the "
            "readers alone; attributes show it as null. Heat stores it in its database with the "
            "other properties.",
            default=False,
            update_allowed=True,
        ),
        READERS: properties.Schema(
            properties.Schema.LIST,
            "The groups and members that may read sensitive values, in addition to the users whom "
            "factstore's policy allows to: group/NAME or member/NAME.",
            schema=properties.Schema(properties.Schema.STRING),
            default=[],
            update_allowed=True,
        ),
    }


def writer(properties: Mapping[str, Any]) -> Callable[[str, Any], Put]:
    """Return the function that writes a fact with these properties."""
    kind, sensitive, readers = (properties[name] for name in (KIND, SENSITIVE, READERS))
    return partial(Put, kind=kind, sensitive=sensitive, readers=tuple(readers))


class FactSetResource(FactstoreResource):
    """A resource whose properties declare facts by path.

    A subclass sets ``facts_property`` and defines :meth:`ownership`; its property ``bag`` is the stack
    that the facts are in.
    """

    facts_property: str

    @property
    def bag(self) -> Stack:
        """The stack in factstore."""
        raise NotImplementedError

    def ownership(self, properties: Mapping[str, Any]) -> Ownership:
        """Return how the facts are written, and which existing facts are the resource's own."""
        raise NotImplementedError

    def declared(self, properties: Any) -> Mapping[str, Any]:
        """Return the values that the properties declare, by path; null if Heat cannot resolve one."""
        return properties[self.facts_property] or {}

    def apply(self, properties: Any, former: Digests) -> None:
        """Write the declared facts, and delete those of *former* that no resource declares any longer.

        :raises heat.common.exception.Error: observed facts exist at some of the paths.
        """
        wanted = self._wanted(properties)
        if unknown := sorted(self.declared(properties).keys() - wanted.keys()):
            LOG.warning("%s does not write facts whose value is null: %s", self, ", ".join(unknown))
        claim(self, self.bag.name, self.paths(properties))
        try:
            self._reconcile(wanted, former, self.ownership(properties))
        except OwnedByOthers as error:
            raise exception.Error(
                f"{self.facts_property} of {self.name} cannot be written, because observed facts exist "
                f"at these paths: {error}. Delete them or choose other paths."
            ) from error

    def discard(self, former: Digests) -> None:
        """Delete those of *former* that are the resource's own and that no other resource declares."""
        self._reconcile({}, former, self.ownership(self.properties))

    def paths(self, properties: Any) -> Collection[str]:
        """Return the paths that the properties declare, including those that others are to write."""
        return self.declared(properties).keys()

    def _reconcile(self, wanted: Mapping[str, Any], former: Digests, ownership: Ownership) -> None:
        claimed = self._claimed(former.keys() - wanted.keys())
        former = {path: known for path, known in former.items() if path not in claimed}
        deleted = reconcile(self.bag, wanted, former, ownership, note=self._note)
        # A resource that declared one of them after the claims were read may have found the fact as
        # wanted before the fact was deleted, and then it has written nothing.
        late = self._claimed({fact.path for fact in deleted})
        restore(self.bag, [fact for fact in deleted if fact.path in late])

    def _claimed(self, paths: Set[str]) -> Set[str]:
        """Return those of the paths that other resources of the stack declare."""
        return paths & claimed_by_others(self, self.bag.name) if paths else paths

    def written(self) -> dict[str, str]:
        """Return the digests of the facts that were written, or may have been by a failed update."""
        noted = [json.loads(self.data()[key]) for key in self._notes()]
        known = digests(self._wanted(self.properties))
        return {path: one for note in (known, *noted) for path, one in note.items()}

    # Heat's hooks

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> None:
        """Make the facts match the template, also after an update that failed halfway."""
        after = json_snippet.properties(self.properties_schema, self.context)
        self.apply(after, self.written())
        for key in self._notes():
            self.data_delete(key)

    def handle_check(self) -> None:
        """Fail if the stack does not exist, or if a fact differs from the properties."""
        super().handle_check()
        wanted, put = self._wanted(self.properties), self.ownership(self.properties).put
        found = read_facts(self.bag, set(wanted))
        differing = [
            path
            for path, value in wanted.items()
            if path not in found or not matches(found[path], put(path, value))
        ]
        if differing:
            raise exception.Error(
                f"these facts are missing or differ from the template: {', '.join(differing)}."
            )

    def _needs_update(
        self,
        after: Any,
        before: Any,
        after_props: Any,
        before_props: Any,
        *rest: Any,
        **options: Any,
    ) -> bool:
        needed = super()._needs_update(after, before, after_props, before_props, *rest, **options)
        # Heat sees no difference between 1, 1.0 and true.
        return needed or digests(self.declared(after_props)) != digests(self.declared(before_props))

    def _wanted(self, properties: Any) -> dict[str, Any]:
        declared = self.declared(properties)
        return {path: value for path, value in declared.items() if value is not None}

    def _notes(self) -> list[str]:
        return sorted(key for key in self.data() if key.startswith(_NOTE))

    def _note(self, written: Digests) -> None:
        """Store what an update is about to write: if it fails, Heat keeps the former properties."""
        if self.action == self.UPDATE and written:
            self.data_set(f"{_NOTE}{len(self._notes()):06}", json.dumps(dict(written)))
