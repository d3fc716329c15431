"""A user of Heat, and the stacks of that user."""

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
    """A stack does not have the expected status; the text contains Heat's reason."""


class Orchestration:
    """The operations of one user. :meth:`clean` deletes the stacks that are left."""

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
        """Create a stack, wait for the expected status unless that is empty, and return the id."""
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
        """Update a stack and wait for the expected status."""
        before = self._status(stack).updated_time
        while before == datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"):
            # Heat's times are in seconds: two updates within one second look the same.
            time.sleep(0.05)
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
            self._made.remove(stack)  # Heat sometimes fails to delete a deleted stack

    def show(self, stack: str) -> Any:
        """Return a stack by name or id."""
        return self.heat.stacks.get(stack)

    def _status(self, stack: str) -> Any:
        """Return a stack without its outputs, which take Heat the longest."""
        return self.heat.stacks.get(stack, resolve_outputs=False)

    def output(self, stack: str, key: str) -> Any:
        """Return the current value of an output. Raises StackFailed if it has an error."""
        shown = self.heat.stacks.output_show(stack, key)["output"]
        if "output_error" in shown:
            raise StackFailed(shown["output_error"])
        return shown["output_value"]

    def resource(self, stack: str, name: str, *attributes: str) -> Any:
        """Return a resource with the named attributes."""
        return self.heat.resources.get(stack, name, with_attr=list(attributes) or None)

    def resources(self, stack: str, depth: int = 0) -> list[Any]:
        """Return the resources of a stack and of its nested stacks down to a depth."""
        return list(self.heat.resources.list(stack, nested_depth=depth))

    def events(self, stack: str, depth: int = 0) -> list[Any]:
        """Return the events of a stack, oldest first."""
        return list(self.heat.events.list(stack, nested_depth=depth, sort_dir="asc"))

    def signal(self, stack: str, resource: str, data: Document | None = None) -> None:
        """Signal a resource, such as a scaling policy."""
        self.heat.resources.signal(stack, resource, data=dict(data or {}))

    def wait(
        self, stack: str, expect: str, within: float = 60, *, newer_than: str | None = None
    ) -> None:
        """Return once the stack's status is *expect*.

        :param newer_than: the time of the last update, to wait for a later one.
        :raises StackFailed: the stack has another final status, or took too long.
        """
        if not expect:
            return
        action = expect.partition("_")[0]
        end = time.monotonic() + within
        while True:
            try:
                shown = self._status(stack)
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
        """Delete the stacks that were created here and are left, and wait for it."""
        for stack in reversed(self._made):
            try:
                self.heat.stacks.delete(stack)
                self.wait(stack, "DELETE_COMPLETE")
            except exc.HTTPNotFound:
                continue
        self._made.clear()


def _text(template: Document | str) -> str:
    return template if isinstance(template, str) else yaml.safe_dump(dict(template))
