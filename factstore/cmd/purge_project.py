"""Purging projects, with the services of a worker in the process of the command."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from factstore.cmd.deployment import Installation, run
from factstore.core.errors import Invalid, NotFound
from factstore.core.model.fact import Author, Scope
from factstore.store.fsck.report import ProjectContents
from factstore.wsgi.runtime import Runtime

PAGE = 1000  # stacks listed at once
PAUSE = 1.0  # seconds without a write, until a project counts as purged
SWEEP_SECONDS = 10.0  # for one round


class ProjectPurge:
    """Deletes everything whose key contains the id of a project.

    :param author: the author of the deletions in events, with *request_id* as the id of the request.
    :param log: called with a line for each deletion.
    """

    def __init__(
        self, installation: Installation, author: str, request_id: str, log: Callable[[str], None]
    ) -> None:
        self._installation = installation
        self._author = Author(author, request_id)
        self._log = log

    def run(self, projects: Sequence[str], patience: float) -> bool:
        """Purge the projects; return False if keys of them are left.

        :param patience: seconds for which others may continue to write to the projects.
        """
        done = True
        until = time.monotonic() + patience
        with run(self._installation) as runtime:
            while projects:
                for project_id in projects:
                    # Only the service for stacks notifies watchers of a deletion.
                    self._delete_stacks(runtime, project_id)
                    self._installation.repair.delete_outside_stacks(project_id)
                    self._delete_data(runtime, project_id)
                time.sleep(PAUSE)  # a concurrent writer has written again by then
                again = []
                for project_id in projects:
                    left = self._installation.reader.project(project_id)
                    if left.in_use and time.monotonic() < until:
                        again.append(project_id)
                    done = done and (left.is_empty or project_id in again)
                    self._log(f"project {project_id}: {_outcome(left, project_id in again)}")
                projects = again
        return done

    def _delete_stacks(self, runtime: Runtime, project_id: str) -> None:
        marker = ""
        while True:
            page = runtime.services.stacks.list(project_id, limit=PAGE, marker=marker)
            for stack in page.items:
                # It was deleted meanwhile, or no request can address a stack of its name.
                with suppress(NotFound, Invalid):
                    runtime.services.stacks.delete(Scope(project_id, stack.name), self._author)
                    self._log(f"project {project_id}: deleted stack {stack.name}")
            if page.marker is None:
                return
            marker = page.marker

    def _delete_data(self, runtime: Runtime, project_id: str) -> None:
        """Delete the data of deleted stacks and of orphans, together with the workers."""
        reader, repair = self._installation.reader, self._installation.repair
        # If the store is full, deleted stacks are not marked; only this process knows them.
        self._sweep(runtime)
        if reader.project(project_id).orphans:
            repair.mark_orphans(reader.check(), project_id)
        while reader.project(project_id).purges:
            self._sweep(runtime)

    def _sweep(self, runtime: Runtime) -> None:
        runtime.backend.purge_deleted(self._installation.clock.monotonic() + SWEEP_SECONDS)


def _outcome(left: ProjectContents, again: bool) -> str:
    if left.is_empty:
        return "nothing is left"
    if again:
        return "it was written to in the meantime; purging it again"
    if left.in_use:
        return "it is still being written to: was it deleted in Keystone?"
    return "keys are left that only an operator can delete: run factstore verify"
