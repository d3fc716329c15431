"""Stacks of a Heat, as a user has them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import yaml
from heatclient import client as heatclient
from heatclient import exc
from keystoneauth1.session import Session

from tests.heat.lab.patience import PAUSE

Document = Mapping[str, Any]


class StackFailed(AssertionError):
    """A stack did not end as it should have; the text has Heat's reason."""


class Orchestration:
    """What one user does with Heat. All that is made is remembered, for :meth:`clean`."""

    def __init__(self, session: Session, url: str) -> None:
        """``url`` is Heat's, without version and project."""
        project = session.get_project_id()
        self.heat = heatclient.Client("1", session=session, endpoint_override=f"{url}/v1/{project}")
        self._made: list[str] = []

    def create(
        self,
        name: str,
        template: Document | str,
        *,
        environment: Document | None = None,
        files: Mapping[str, str] | None = None,
        within: float = 60,
        expect: str = "CREATE_COMPLETE",
        **fields: Any,
    ) -> str:
        """Create a stack and wait until it is as expected, or not at all if that is empty; its id."""
        made = self.heat.stacks.create(
            stack_name=name,
            template=_text(template),
            environment=dict(environment or {}),
            files=dict(files or {}),
            **fields,
        )
        identifier: str = made["stack"]["id"]
        self._made.append(identifier)
        self.wait(identifier, expect, within)
        return identifier

    def update(
        self,
        stack: str,
        template: Document | str,
        *,
        environment: Document | None = None,
        files: Mapping[str, str] | None = None,
        within: float = 60,
        expect: str = "UPDATE_COMPLETE",
        **fields: Any,
    ) -> None:
        """Update a stack and wait until it is as expected."""
        before = self.show(stack).updated_time
        while before == datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"):
            time.sleep(0.05)  # Heat counts in seconds: this update would look like the last one
        self.heat.stacks.update(
            stack,
            template=_text(template),
            environment=dict(environment or {}),
            files=dict(files or {}),
            **fields,
        )
        self.wait(stack, expect, within, newer_than=before)

    def delete(self, stack: str, *, within: float = 60, expect: str = "DELETE_COMPLETE") -> None:
        """Delete a stack and wait until it is gone."""
        self.heat.stacks.delete(stack)
        self.wait(stack, expect, within)
        if stack in self._made and expect == "DELETE_COMPLETE":
            self._made.remove(stack)  # Heat fails now and then when it is to delete one once more

    def show(self, stack: str) -> Any:
        """A stack as Heat shows it, by name or id."""
        return self.heat.stacks.get(stack)

    def output(self, stack: str, key: str) -> Any:
        """The value of one of its outputs, worked out now; its error is raised."""
        shown = self.heat.stacks.output_show(stack, key)["output"]
        if "output_error" in shown:
            raise StackFailed(shown["output_error"])
        return shown["output_value"]

    def resource(self, stack: str, name: str, *attributes: str) -> Any:
        """A resource as Heat shows it, with attributes asked for by name."""
        return self.heat.resources.get(stack, name, with_attr=list(attributes) or None)

    def resources(self, stack: str, depth: int = 0) -> list[Any]:
        """Resources of a stack and, so many levels deep, of those nested in it."""
        return list(self.heat.resources.list(stack, nested_depth=depth))

    def events(self, stack: str, depth: int = 0) -> list[Any]:
        """Events of a stack, oldest first."""
        return list(self.heat.events.list(stack, nested_depth=depth, sort_dir="asc"))

    def signal(self, stack: str, resource: str, data: Document | None = None) -> None:
        """Signal a resource, such as a scaling policy."""
        self.heat.resources.signal(stack, resource, data=dict(data or {}))

    def wait(
        self, stack: str, expect: str, within: float, *, newer_than: str | None = None
    ) -> None:
        """Return once the stack's status is *expect*.

        :param newer_than: an update's time that is not the one that is waited for.
        :raises StackFailed: it became another one, or took too long.
        """
        if not expect:
            return
        action = expect.partition("_")[0]
        end = time.monotonic() + within
        while True:
            try:
                shown = self.show(stack)
            except exc.HTTPNotFound:
                status, reason, settled = "DELETE_COMPLETE", "", True
            else:
                status, reason = shown.stack_status, shown.stack_status_reason
                stale = newer_than is not None and shown.updated_time == newer_than
                begun = status.startswith((f"{action}_", "ROLLBACK_"))
                settled = begun and not stale and not status.endswith("_IN_PROGRESS")
            if settled and status == expect:
                return
            if (settled and not status.endswith("_IN_PROGRESS")) or time.monotonic() >= end:
                raise StackFailed(f"{stack} is {status}, not {expect}: {reason}")
            time.sleep(PAUSE)

    def clean(self) -> None:
        """Delete all stacks that were made here and are left, and wait for it."""
        for stack in reversed(self._made):
            try:
                self.heat.stacks.delete(stack)
                self.wait(stack, "DELETE_COMPLETE", 60)
            except exc.HTTPNotFound:
                continue
        self._made.clear()


def _text(template: Document | str) -> str:
    return template if isinstance(template, str) else yaml.safe_dump(dict(template))
