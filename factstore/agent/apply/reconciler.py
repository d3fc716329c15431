"""Bringing the instance in line with a context: files, then hooks, then the word that it is applied.

What was done last is on disk: of which context, with which hooks, in which boot, and what each file
held; and that it holds no more, before anything else is begun.  So nothing is done twice, also by an
agent that was restarted; and what was cut off is done again from the beginning.  Nothing counts as done
before all of it was.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from factstore.agent.apply.files import Output, OutputBroken, render
from factstore.agent.apply.hooks import HookFailed, Hooks
from factstore.agent.apply.sensitive_facts import Sealed
from factstore.agent.config.settings import Settings
from factstore.agent.system.state_dir import APPLIED, KEPT, StateDir, write_whole
from factstore.client import Context

LOG = logging.getLogger(__name__)

CONTEXT_FILE = "context.json"
"""The context's document for hooks, in the state directory; sealed facts are null in it."""


class NotApplied(Exception):
    """A context that could not be applied.

    :ivar source: the output or hook that is to blame; *reason* says why.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done last.

    :param etag: of the context.
    :param hooks: which there are; empty if something else was begun after it.
    :param files: by path, a hash of the content.
    """

    etag: str
    boot: str
    hooks: str
    files: Mapping[str, str]

    def calls_for_hooks(self, before: Applied | None, on_context: bool) -> bool:
        """Whether hooks are to run so as to get here.

        :param on_context: after any change of the context, and not only of files.
        """
        if before is None or (before.boot, before.hooks) != (self.boot, self.hooks):
            return True
        return before.files != self.files or (on_context and before.etag != self.etag)


class Reactor:
    """Applies contexts, and keeps the last one that it was given.

    :param boot: the id of this boot.
    :ivar cursor: up to where all is applied; None if it is not known.
    """

    def __init__(
        self,
        settings: Settings,
        outputs: list[Output],
        hooks: Hooks,
        sealed: Sealed,
        state: StateDir,
        boot: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._outputs = outputs
        self._hooks = hooks
        self._sealed = sealed
        self._state = state
        self._boot = boot
        self.cursor: str | None = None

    def kept(self) -> Context | None:
        """The context that was kept last, also by an agent before."""
        found = self._state.read(KEPT)
        try:
            return Context(**found) if found is not None else None
        except TypeError:
            return None

    def keep(self, context: Context) -> None:
        """Have a context at hand for a time without the service.

        :raises OSError: it cannot be written.
        """
        self._state.write(KEPT, asdict(context))
        text = json.dumps(context.document, ensure_ascii=False, indent=2, sort_keys=True)
        write_whole(self._state.directory / CONTEXT_FILE, f"{text}\n".encode())

    def apply(self, context: Context) -> bool:
        """Bring the instance in line with a context; whether there was anything to do.

        :raises NotApplied: it could not be; what is written already stays.
        :raises FactstoreError: a sealed fact cannot be had now; nothing was done.
        """
        document = self._sealed.opened(context.document)
        try:
            files = [render(output, document, self._sealed) for output in self._outputs]
        except OutputBroken as error:
            raise NotApplied(error.name, str(error)) from error
        try:
            wish = Applied(
                context.etag,
                self._boot(),
                self._hooks.digest(),
                {str(file.path): file.digest for file in files},
            )
            before = self._before()
            on_context = self._settings.react.run_hooks == "context"
            runs = wish.calls_for_hooks(before, on_context)
            runs = runs or not all(file.stands() for file in files)
            if runs and before is not None:  # from here on it is neither the one nor the other
                before = replace(before, hooks="")
                self._state.write(APPLIED, asdict(before))
            written = {str(file.path) for file in files if file.write()}
        except OSError as error:
            raise NotApplied("files", f"{error.filename}: {error.strerror}") from error
        if written:
            LOG.info("wrote %s", ", ".join(sorted(written)))
        changed = written | {
            path for path, digest in wish.files.items() if _digest(before, path) != digest
        }
        if runs:
            self._run(context, sorted(changed))
        if wish != before:
            self._state.keep(APPLIED, asdict(wish))
        self.cursor = context.cursor
        return runs

    def _run(self, context: Context, changed: list[str]) -> None:
        agent = self._settings.agent
        try:
            self._hooks.run(
                {
                    "FACTSTORE_AGENT_CONFIG": str(self._settings.file),
                    "FACTSTORE_STACK": agent.stack,
                    "FACTSTORE_MEMBER": agent.member,
                    "FACTSTORE_GROUP": agent.group,
                    "FACTSTORE_CONTEXT": str(self._state.directory / CONTEXT_FILE),
                    "FACTSTORE_CURSOR": context.cursor,
                    "FACTSTORE_CHANGED": "\n".join(changed),
                }
            )
        except HookFailed as error:
            raise NotApplied(f"hook {error.name}", str(error)) from error
        except OSError as error:
            raise NotApplied("hooks", f"{error.filename}: {error.strerror}") from error

    def _before(self) -> Applied | None:
        found: dict[str, Any] | None = self._state.read(APPLIED)
        try:
            return Applied(**found) if found is not None else None
        except TypeError:
            return None


def _digest(applied: Applied | None, path: str) -> str | None:
    return applied.files.get(path) if applied is not None else None
