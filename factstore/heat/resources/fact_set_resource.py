"""Resources that keep a mapping of facts in a stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from heat.common import exception
from oslo_log import log as logging

from factstore.client import Stack
from factstore.heat.resources.base import FactstoreResource
from factstore.heat.resources.fact_set import (
    Digests,
    InTheWay,
    Keeping,
    digests,
    reconcile,
    standing,
    stands,
)

LOG = logging.getLogger(__name__)

_NOTE = "written-"


class KeptFacts(FactstoreResource):
    """A resource one of whose properties is a mapping of facts by path."""

    mapping: str  # that property's name

    def space(self) -> Stack:
        """The stack in which they are kept."""
        raise NotImplementedError

    def keeping(self, properties: Mapping[str, Any]) -> Keeping:
        """How they are kept."""
        raise NotImplementedError

    def wanted(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """The facts that these properties name; null, which Heat makes of what is unknown, is none."""
        named = properties[self.mapping] or {}
        return {path: value for path, value in named.items() if value is not None}

    def keep(self, properties: Mapping[str, Any], former: Digests) -> None:
        """Have these properties' facts, and nothing of *former* beside them.

        :raises heat.common.exception.Error: facts of others are in the way.
        """
        wanted, keeping = self.wanted(properties), self.keeping(properties)
        if unknown := sorted((properties[self.mapping] or {}).keys() - wanted.keys()):
            LOG.warning("%s does not write what is null: %s", self, ", ".join(unknown))
        try:
            reconcile(self.space(), wanted, former, keeping, note=self._note)
        except InTheWay as error:
            raise exception.Error(
                f"observed facts stand where {self.mapping} of {self.name} are to be written: "
                f"{error}. Delete them, or choose other paths."
            ) from error

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> None:
        """Make the facts what the template says now, whatever an update that failed has left."""
        after = json_snippet.properties(self.properties_schema, self.context)
        self.keep(after, self.written())
        for key in self._notes():
            self.data_delete(key)

    def handle_check(self) -> None:
        """Fail when the stack is gone, or facts are not as they should be."""
        super().handle_check()
        wanted, put = self.wanted(self.properties), self.keeping(self.properties).put
        found = standing(self.space(), set(wanted))
        astray = [
            path
            for path, value in wanted.items()
            if path not in found or not stands(found[path], put(path, value))
        ]
        if astray:
            raise exception.Error(f"facts are missing, or not as written: {', '.join(astray)}.")

    def _needs_update(
        self,
        after: Any,
        before: Any,
        after_props: Mapping[str, Any],
        before_props: Mapping[str, Any],
        *rest: Any,
        **options: Any,
    ) -> bool:
        needed = super()._needs_update(after, before, after_props, before_props, *rest, **options)
        # Heat sees no difference between 1, 1.0 and true.
        return needed or _digested(after_props, self) != _digested(before_props, self)

    def written(self) -> dict[str, str]:
        """Digests of what it has written, or may have when an update failed."""
        noted = [json.loads(self.data()[key]) for key in self._notes()]
        known = digests(self.wanted(self.properties))
        return {path: one for note in (known, *noted) for path, one in note.items()}

    def _notes(self) -> list[str]:
        return sorted(key for key in self.data() if key.startswith(_NOTE))

    def _note(self, written: Digests) -> None:
        """Remember what the properties that Heat has stored may not tell, if this update fails."""
        if self.action == self.UPDATE and written:
            self.data_set(f"{_NOTE}{len(self._notes()):06}", json.dumps(dict(written)))


def _digested(properties: Mapping[str, Any], resource: KeptFacts) -> dict[str, str]:
    return digests(properties[resource.mapping] or {})
