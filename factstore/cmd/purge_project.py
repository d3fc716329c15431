"""Removing projects, with a worker's machinery of our own beside those that run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from factstore.cmd.deployment import Installation, running
from factstore.core.errors import Invalid, NotFound
from factstore.core.model.fact import Author, Scope
from factstore.store.fsck.project_purge import Holdings, Remains
from factstore.wsgi.runtime import Runtime

PAGE = 1000  # stacks listed at once
PAUSE = 1.0  # seconds without a write, until a project counts as removed
SWEEP_SECONDS = 10.0  # for one round


class Purge:
    """Removes all that names a project.

    :param author: whom events name for the deletions, in a request called *request_id*.
    :param say: gets a line for each thing that is done.
    """

    def __init__(
        self, installation: Installation, author: str, request_id: str, say: Callable[[str], None]
    ) -> None:
        self._installation = installation
        self._remains = Remains(installation.client, installation.keys, installation.inspection)
        self._author = Author(author, request_id)
        self._say = say

    def holdings(self, project_id: str) -> Holdings:
        """What there is to remove."""
        return self._remains.holdings(project_id)

    def run(self, projects: Sequence[str], patience: float) -> bool:
        """Remove the projects; whether no key names any of them any more.

        :param patience: seconds in which others may still write to them.
        """
        done = True
        until = time.monotonic() + patience
        with running(self._installation) as runtime:
            while projects:
                for project_id in projects:
                    self._delete_stacks(runtime, project_id)
                    self._remains.forget(project_id)
                    self._sweep(runtime, project_id)
                time.sleep(PAUSE)  # whoever still writes shows by now
                again = []
                for project_id in projects:
                    left = self._remains.holdings(project_id)
                    if left.written and time.monotonic() < until:
                        again.append(project_id)
                    done = done and (left.nothing or project_id in again)
                    self._say(f"project {project_id}: {_outcome(left, project_id in again)}")
                projects = again
        return done

    def _delete_stacks(self, runtime: Runtime, project_id: str) -> None:
        marker = ""
        while True:
            page = runtime.services.stacks.list(project_id, limit=PAGE, marker=marker)
            for stack in page.stacks:
                # Deleted by others meanwhile, or by a name that no request can bring.
                with suppress(NotFound, Invalid):
                    runtime.services.stacks.delete(Scope(project_id, stack.name), self._author)
                    self._say(f"project {project_id}: deleted stack {stack.name}")
            if page.marker is None:
                return
            marker = page.marker

    def _sweep(self, runtime: Runtime, project_id: str) -> None:
        """Help to sweep what deleted stacks left, until none of it is."""
        left = self._remains.holdings(project_id)
        if left.orphans:
            found, revision = self._installation.inspection.examine()
            self._installation.inspection.sweep_orphans(found, revision, project_id)
        while self._remains.holdings(project_id).sweeping:
            runtime.backend.purge_deleted(self._installation.clock.monotonic() + SWEEP_SECONDS)


def _outcome(left: Holdings, again: bool) -> str:
    if left.nothing:
        return "nothing is left"
    if again:
        return "it was written to meanwhile; once more"
    if left.written:
        return "somebody still writes to it: is it gone from Keystone?"
    return "keys are left that the API cannot delete; factstore verify tells which"
