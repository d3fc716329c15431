"""Applying a context to the instance: files first, then their commands, then hooks.

The last applied context is recorded on disk, with the hooks, the boot and the content of each file,
so that a restarted agent repeats nothing.  The record is marked incomplete before anything changes,
so that interrupted work is done again from the beginning.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from factstore.agent.apply import drift
from factstore.agent.apply.applied_record import AppliedRecord, load_record
from factstore.agent.apply.errors import ApplyError, FilesSettling, TurnRequired
from factstore.agent.apply.file_writer import FileWriter
from factstore.agent.apply.files import (
    FileSpec,
    RenderedFile,
    RenderedFolder,
    RenderError,
    render,
)
from factstore.agent.apply.hooks import HookFailed, Hooks
from factstore.agent.apply.lacking import LackingFacts
from factstore.agent.apply.omissions import Omissions
from factstore.agent.apply.recording import Recorder
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.config.reads import EVERYTHING, Reads
from factstore.agent.config.settings import Settings
from factstore.agent.errors import describe
from factstore.agent.session.hook_turn import HookTurn
from factstore.agent.system.state_dir import CONTEXT, MISMATCHES, StateDir, write_state
from factstore.client import Context

LOG = logging.getLogger(__name__)

CONTEXT_FILE = "context.json"
"""The context's document for hooks, in the state directory.  Sensitive facts are null."""


class ReadSet(Protocol):
    """The member's read set, which must not be narrower than what is reported as applied."""

    def replace(self, reads: Reads) -> None: ...

    def widen(self, reads: Reads) -> None: ...

    def upload(self) -> bool: ...


class Reconciler:
    """Applies contexts, and stores the last one for times without the service.

    :param read_set: is given what files and hooks read.
    :param boot_id: returns the id of the current boot.
    :ivar applied_cursor: the cursor of the context that was applied; None if that is not known.
    :ivar lacking: the facts that templates need and that do not exist.
    :ivar mismatches: how often files had to change although nothing that they read had changed, counted
        since the state directory was created.
    """

    def __init__(
        self,
        settings: Settings,
        specs: list[FileSpec],
        writer: FileWriter,
        hooks: Hooks,
        sensitive: SensitiveFacts,
        state: StateDir,
        read_set: ReadSet,
        boot_id: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._specs = specs
        self._writer = writer
        self._hooks = hooks
        self._sensitive = sensitive
        self._state = state
        self._boot_id = boot_id
        self._read_set = read_set
        self._applied: tuple[Reads, str] | None = None  # what was read, and its digest
        self.applied_cursor: str | None = None
        self._mismatched = False  # since the start
        self._omissions = Omissions()
        self.lacking = LackingFacts(state)
        self._templates: set[Path] = set()
        self._files: list[RenderedFile | RenderedFolder] = []
        self._snapshot: drift.Snapshot | None = None  # after the last attempt to apply
        counted = (state.read(MISMATCHES) or {}).get("count")
        self.mismatches = counted if isinstance(counted, int) else 0

    def load_context(self) -> Context | None:
        """Return the context that was stored last, or None."""
        stored = self._state.read(CONTEXT)
        try:
            return Context(**stored) if stored is not None else None
        except TypeError:  # an agent of another version stored it
            return None

    def store_context(self, context: Context) -> None:
        """Store a context for hooks, and for times without the service.

        :raises OSError: the context cannot be written.
        """
        self._state.write(CONTEXT, asdict(context))
        text = json.dumps(context.document, ensure_ascii=False, indent=2, sort_keys=True)
        write_state(self._state.directory / CONTEXT_FILE, f"{text}\n".encode())

    @property
    def problems(self) -> dict[str, str]:
        """The problems of the read set and of renderers, for the member's results."""
        reason = "files differed although nothing that they read had changed"
        return {**self._omissions.problems, **({"read set": reason} if self._mismatched else {})}

    def drifted(self) -> list[str]:
        """Return the files, templates and hooks that changed on disk since the last attempt."""
        if self._snapshot is None:
            return []
        return drift.changes(self._snapshot, self._take_snapshot())

    def _take_snapshot(self) -> drift.Snapshot:
        return drift.take_snapshot(self._files, self._templates, self._hooks)

    def skip(self, context: Context) -> bool:
        """Return True if nothing that is read differs in a context, which so is applied already."""
        if not self._has_applied_equal(context) or self.drifted():
            return False
        self.applied_cursor = context.cursor
        return True

    def _has_applied_equal(self, context: Context) -> bool:
        if self._applied is None or self._applied[0].is_everything:
            return False
        reads, digest = self._applied
        return reads.digest(context.document) == digest

    def apply(self, context: Context, turn: HookTurn | None = None, *, settle: bool = True) -> bool:
        """Apply a context; return False if nothing had to be done.

        :param turn: the turn in which commands and hooks run; None if they need no turn.
        :param settle: False to write files at once that are to settle first.
        :raises ApplyError: a file or hook failed; files that were already written remain.
        :raises FilesSettling: a file is held back; the others were written, and no hooks were run.
        :raises TurnRequired: programs have to run, and the turn is not held; nothing was done.
        :raises FactstoreError: a sensitive fact cannot be fetched now; nothing was done.  Or it is not
            known whether the turn is still held.
        """
        document = self._sensitive.reveal(context.document)
        drifted = self.drifted()
        if drifted:
            LOG.info("changed on disk: %s", ", ".join(drifted))
        agrees, self._applied = self._has_applied_equal(context) and not drifted, None
        try:
            return self._apply(context, document, turn, agrees=agrees, settle=settle)
        finally:
            # Hooks that spoil a file again and again are not run each time that this is noticed.
            self._snapshot = self._take_snapshot()

    def _apply(
        self,
        context: Context,
        document: Mapping[str, Any],
        turn: HookTurn | None,
        *,
        agrees: bool,
        settle: bool,
    ) -> bool:
        """Apply a context whose sensitive facts are in *document*.

        :param agrees: True if nothing that is read has changed, nor anything on disk.
        """
        previous = load_record(self._state)
        files, reads = self._render(document, first=previous is None)
        try:
            target = AppliedRecord(
                self._hooks_digest(context),
                self._boot_id(),
                self._hooks.digest(),
                {str(file.path): file.digest for file in files},
            )
            if agrees and previous is not None and previous.files != target.files:
                self._mismatched = True
                self.mismatches += 1
                self._state.try_write(MISMATCHES, {"count": self.mismatches})
                LOG.warning(
                    "files differ although nothing that they read has changed; the member reads "
                    "everything from now on"
                )
            after_any_change = self._settings.react.run_hooks == "context"
            run_hooks = target.requires_hooks(previous, after_any_change)
            state = f"{target.boot} {target.etag}"
            plan = self._writer.plan(list(zip(self._specs, files)), state, settle=settle)
            run_hooks = run_hooks or bool(plan.stale) or plan.pause > 0
            runs_any = bool(plan.commands) or (run_hooks and bool(self._hooks.executables()))
            if runs_any and turn is not None and not turn.held:
                raise TurnRequired
            env = self._environment(context)
            if plan.commands or plan.stale:
                self._hooks.wait_for_orphan()
            self._writer.check(plan, env)
            if run_hooks and previous is not None:
                previous = previous.begin_next(self._state)
            written = self._writer.write(plan)
        except HookFailed as error:
            raise ApplyError(f"hook {error.name}", str(error)) from error
        except OSError as error:
            raise ApplyError("files", describe(error)) from error
        if written:
            LOG.info("wrote %s", ", ".join(sorted(written)))
        self._writer.run_commands(plan, state, env, *_may_start(turn))
        if plan.pause:
            raise FilesSettling(plan.pause)
        before = previous.files if previous is not None else {}
        changed = written | {
            path for path, digest in target.files.items() if before.get(path) != digest
        }
        if run_hooks:
            self._run_hooks({**env, "FACTSTORE_CHANGED": "\n".join(sorted(changed))}, turn)
        if target != previous:
            target.try_store(self._state)
        if self._mismatched:
            reads = EVERYTHING
        self._applied = reads, reads.digest(context.document)
        self._read_set.replace(reads)
        self.applied_cursor = context.cursor
        return run_hooks or bool(plan.commands)

    def _render(
        self, document: Mapping[str, Any], *, first: bool
    ) -> tuple[list[RenderedFile | RenderedFolder], Reads]:
        """Return all files, and what files and hooks read.

        :param first: True if no context was ever applied.
        """
        recorder = Recorder()
        recorder.add(self._hooks_read())
        files, failed = [], None
        self.lacking.clear()
        for spec in self._specs:
            try:
                omit = self._omissions.of(spec.name)
                files.append(render(spec, document, self._sensitive, recorder, omit))
            except RenderError as error:  # the others are rendered to find out what they read
                failed = failed or error
                self.lacking.note(error)
        self._omissions.complete()
        reads, self._templates = recorder.reads(), recorder.templates
        if first and failed is not None:
            self._read_set.replace(reads)  # nothing is reported that could have read more
        else:
            self._read_set.widen(reads)
        self._read_set.upload()
        if failed is not None:
            raise ApplyError(failed.name, str(failed)) from failed
        self._files = files
        return files, reads

    def _hooks_read(self) -> Reads:
        react = self._settings.react
        try:
            runs_hooks = react.run_hooks == "context" and bool(self._hooks.executables())
            if not runs_hooks and all(spec.options.when_changed for spec in self._specs):
                return Reads()
        except OSError:
            return EVERYTHING
        return EVERYTHING if react.reads is None else react.reads

    def _hooks_digest(self, context: Context) -> str:
        """Return a hash of what the hooks read of a context."""
        reads = self._settings.react.reads
        return context.etag if reads is None else reads.digest(context.document)

    def _environment(self, context: Context) -> dict[str, str]:
        """Return the variables of checks, commands and hooks."""
        agent = self._settings.agent
        return {
            "FACTSTORE_AGENT_CONFIG": str(self._settings.file.absolute()),
            "FACTSTORE_STACK": agent.stack,
            "FACTSTORE_MEMBER": agent.member,
            "FACTSTORE_GROUP": agent.group,
            "FACTSTORE_CONTEXT": str(self._state.directory / CONTEXT_FILE),
            "FACTSTORE_CURSOR": context.cursor,
        }

    def _run_hooks(self, env: Mapping[str, str], turn: HookTurn | None) -> None:
        try:
            self._hooks.run(env, *_may_start(turn))
        except HookFailed as error:
            raise ApplyError(f"hook {error.name}", str(error)) from error
        except OSError as error:
            raise ApplyError("hooks", describe(error)) from error


def _may_start(turn: HookTurn | None) -> tuple[Callable[[], bool], ...]:
    return () if turn is None else (turn.is_confirmed,)
