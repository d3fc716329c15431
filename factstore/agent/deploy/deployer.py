"""Running the configurations of this member that are due, one after the other.

Each runs once, and its result is reported at least once: the service ignores a repetition.  A run
continues while the agent restarts.  Only a run whose supervisor has ended without a result, such as at
a reboot, was interrupted, and the configuration states what follows.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Union

from factstore.agent.apply.sensitive_facts import redacted, secret_texts, without_cut_secret
from factstore.agent.deploy.action_queue import ActionQueue
from factstore.agent.deploy.protocol import (
    OUTPUT_BYTES,
    hook_input,
    hook_result,
    last_line,
    tail,
    withheld,
)
from factstore.agent.deploy.runs import Run, RunRecord
from factstore.client import ConfigurationRecord, Stack
from factstore.client.clock import Clock
from factstore.client.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge
from factstore.client.transport import LONGEST_WAIT

LOG = logging.getLogger(__name__)

ABSENT_SECONDS = 2.0  # between looks whether this agent has joined
POLL_SECONDS = 0.5  # between looks at a run
PROGRESS_SECONDS = 2.0  # between reports of progress
REPEAT_SECONDS = 5.0  # between reports of an action: their refusal ends the run
EARLY_SECONDS = (
    1.0  # the pause after a poll that returned early: a stopping server ends its requests
)
SHORT_BYTES = 2048  # of each output, if the service refuses a result as too large
_PERCENT = re.compile(r"(?<![\d.])(100|\d{1,2}) ?%")


class Deployer:
    """Runs configurations.

    :param hooks: the directory with a hook for each group of configurations.
    :param state: the agent's state directory.
    :param is_present: returns True while the agent is a member.
    :param allowed: the hooks that actions may run, ``*`` for all of them; None for configurations,
        which may run all, and which are not ended early.
    """

    def __init__(
        self,
        stack: Union[Stack, ActionQueue],
        member: str,
        hooks: Path,
        state: Path,
        is_present: Callable[[], bool],
        clock: Clock,
        allowed: Collection[str] | None = None,
    ) -> None:
        self._noun = "configuration" if allowed is None else "action"
        self._allowed = allowed
        self._stack = stack
        self._member = member
        self._hooks = hooks
        self._run = Run(state)
        self._is_present = is_present
        self._clock = clock
        self._etag: str | None = None
        self._secrets: tuple[str, list[str]] = ("", [])
        self._progress: tuple[str, float] = ("", 0.0)

    def step(self) -> float:
        """Do the next step; return the seconds until the next one.

        :raises FactstoreError: the service cannot answer now.
        :raises OSError: the run cannot be stored.
        """
        if not self._is_present():
            return ABSENT_SECONDS
        record = self._run.load()
        if record is not None:
            return self._advance(record)
        started, wait = self._clock.monotonic(), LONGEST_WAIT if self._etag else 0
        found = self._stack.configurations(self._member, if_none_match=self._etag, wait=wait)
        if found is None:
            early = self._clock.monotonic() - started < wait - EARLY_SECONDS
            return EARLY_SECONDS if early else 0.0
        chosen = choose(found.configurations)
        self._etag = found.etag if chosen is None else None
        if chosen is not None:
            self._begin(chosen)
        return 0.0

    def _begin(self, listed: ConfigurationRecord) -> None:
        if listed.state == "due" or listed.on_interrupt == "retry":
            self._start(listed.name, listed.id)
            return
        # It is in progress, but not on disk: another state directory was in use.
        self._run.begin(RunRecord.of(listed, {}))
        self._run.store_result(_failure("the run was interrupted, and its state was lost"))

    def _start(self, name: str, identifier: str) -> None:
        """Run a configuration, unless its definition has changed or it was deleted.

        A run on disk stays there until it is replaced: the service may already have a report on it.
        """
        try:
            found = self._stack.configuration(self._member, name).show()
        except NotFound:
            found = None
        if found is None or found.id != identifier:
            self._run.delete()
            return
        record = RunRecord.of(found, {})
        hook = self._hooks / found.group
        if self._allowed is not None and not {"*", found.group} & set(self._allowed):
            reason = (
                f"the agent's configuration does not allow actions to run the hook {found.group}"
            )
            self._fail(record, f"{reason}: [deploy] actions names those that may run")
            return
        if not (hook.is_file() and os.access(hook, os.X_OK)):
            self._fail(record, f"{hook} does not exist or is not executable")
            return
        values: dict[str, Any] = {}
        etags: dict[str, str] = {}
        for input_name, path in found.input_facts.items():
            try:
                fact = self._stack.get(path)
                values[input_name], etags[path] = fact.value, fact.etag
            except (NotFound, Forbidden):
                reason = f"the fact {path}, an input, does not exist or cannot be read"
                self._fail(record, reason)
                return
        record = RunRecord.of(found, etags)
        self._secrets = record.id, secret_texts(values.values())
        self._run.begin(record)
        if not self._report(record, {"state": "in_progress"}):
            self._run.delete()
            return
        LOG.info("%s %s started", self._noun, name)
        data = hook_input(found, self._stack.name, values)
        self._run.start(record, hook, found.timeout, data)

    def _fail(self, record: RunRecord, reason: str) -> None:
        self._run.begin(record)
        self._run.store_result(_failure(reason))

    def _advance(self, record: RunRecord) -> float:
        result = self._run.result
        if result is not None:
            self._finish(record, result)
            return 0.0
        alive, end = self._run.is_alive, self._run.end  # in this order
        if end is not None:
            secrets = self._secrets_of(record)
            # A secret is not found in a part of it, so all output is read before it is cut.
            out, err = self._run.output("stdout"), self._run.output("stderr")
            result = hook_result(end, out, err, secrets or [])
            self._run.store_result(result if secrets is not None else withheld(result))
            return 0.0
        if alive:
            self._report_progress(record)
            return POLL_SECONDS
        if self._run.began:
            self._run.kill()
            LOG.warning("%s %s was interrupted", self._noun, record.name)
            if record.on_interrupt != "retry":
                self._run.store_result(self._interrupted(record))
                return 0.0
        self._start(record.name, record.id)
        return 0.0

    def _interrupted(self, record: RunRecord) -> dict[str, Any]:
        log = self._shown(record, self._run.output("stderr"))
        reason = "the run was interrupted before it ended"
        return {**_failure(reason), "stderr": tail(log, OUTPUT_BYTES), "message": last_line(log)}

    def _finish(self, record: RunRecord, result: dict[str, Any]) -> None:
        """Report a result, and delete the run."""
        try:
            try:
                self._report(record, result)
            except TooLarge:  # control characters are up to six bytes in JSON
                ends = {
                    name: tail(result.get(name, ""), SHORT_BYTES) for name in ("stdout", "stderr")
                }
                self._report(record, {**result, **ends})
        except (BadRequest, TooLarge) as error:
            code = result.get("status_code")
            reason = f"the service refused the result: {error}"[:500]
            try:
                self._report(record, {**_failure(reason), "status_code": code})
            except (BadRequest, TooLarge):
                LOG.exception("the result of %s %s is lost", self._noun, record.name)
        log = LOG.info if result["state"] == "complete" else LOG.warning
        state, reason = result["state"], result.get("reason", "")
        log("%s %s is %s %s", self._noun, record.name, state, reason)
        self._run.delete()

    def _report(self, record: RunRecord, result: dict[str, Any]) -> bool:
        """Send a report; return False if nobody waits for it any more."""
        try:
            self._stack.configuration(self._member, record.name).report(record.id, **result)
        except (NotFound, Conflict) as error:
            if error.code == "contextualization.path_is_folder":
                raise  # and keep the run until somebody deletes these facts
            LOG.info("the report on %s %s was refused: %s", self._noun, record.name, error)
            return False
        return True

    def _report_progress(self, record: RunRecord) -> None:
        text, at = self._progress
        now = self._clock.monotonic()
        if now - at < PROGRESS_SECONDS:
            return
        line = last_line(self._shown(record, self._run.last_lines("stderr")))
        is_asked = self._allowed is not None and now - at >= REPEAT_SECONDS
        if line in ("", text) and not is_asked:
            return
        percent = _PERCENT.findall(line)
        number = int(percent[-1]) if percent else None
        progress = {"state": "in_progress", "message": line, "percent": number}
        if not self._report(record, progress) and self._allowed is not None:
            self._run.cancel()
        self._progress = line, now

    def _shown(self, record: RunRecord, output: bytes) -> str:
        """Return the output of a hook that has not come to its end, without secrets."""
        secrets = self._secrets_of(record)
        if secrets is None:
            return ""
        text = output.decode("utf-8", "replace")
        return redacted(without_cut_secret(text, secrets), secrets)

    def _secrets_of(self, record: RunRecord) -> list[str] | None:
        """Return the texts of facts that are inputs, which a restarted agent reads again.

        Return None if one has changed since the hook got it.
        """
        if self._secrets[0] != record.id:
            values = []
            for path, etag in record.secrets.items():
                try:
                    fact = self._stack.get(path)
                except (NotFound, Forbidden):
                    return None
                if fact.etag != etag:
                    return None
                values.append(fact.value)
            self._secrets = record.id, secret_texts(values)
        return self._secrets[1]


def choose(found: Sequence[ConfigurationRecord]) -> ConfigurationRecord | None:
    """Return the configuration to run next: those that undeploy in reverse order, before the others.

    One that is in progress, although nothing runs, was interrupted and is the first.
    """
    for each in found:
        if each.state in ("in_progress", "lost"):
            return each
    due = [each for each in found if each.state == "due"]
    undeploying = [each for each in due if each.action == "DELETE"]
    if undeploying:
        return undeploying[-1]
    return due[0] if due else None


def _failure(reason: str) -> dict[str, Any]:
    return {"state": "failed", "reason": reason}
