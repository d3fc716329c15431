"""Polls of a configuration by Heat's engine: its end, or why it cannot end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from heat.common import exception
from heat.engine.stack import Stack as HeatStack

from factstore.client import ConfigurationRecord, Stack, errors
from factstore.heat.resources.poll import Poll, Unanswered

_GRACE_SECONDS = 60.0
"""The time that an agent needs to end a hook and to report that, after the hook's own time limit."""
_TAIL = 1000
"""The characters of a hook's stderr in an error.  Heat stores 64 KiB, and users read the end."""
_MOVING = ("waiting", "due", "in_progress", "complete")


class ConfigurationFailed(exception.Error):
    """The hook failed, or reported an error."""


class ConfigurationLost(exception.Error):
    """The member is not there, so nobody runs the configuration."""


class ConfigurationTimedOut(exception.Error):
    """Nothing has happened for too long, although the member is there."""


class ConfigurationGone(exception.Error):
    """The configuration was deleted."""


class ConfigurationPoll:
    """One wait, from writing a configuration to its end.

    The service and the agent enforce the order and the time limit of the hook.  The poll has a limit
    only for the time in which nothing changes, so waiting for other configurations is free.

    :param bag: the data bag's name.
    :param timeout: of the hook, in seconds.
    :param error_outputs: the names of outputs that must be empty.
    :param now: returns monotonic seconds.
    """

    def __init__(
        self,
        stack: HeatStack,
        bag: str,
        key: str,
        timeout: float,
        error_outputs: Collection[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._member, _, self._name = key.partition("/")
        self._patience = timeout + _GRACE_SECONDS
        self._error_outputs = error_outputs
        self._now = now
        self._poll = Poll(stack, bag, f"configuration {key}")
        self._found: ConfigurationRecord | None = None
        self._changed = now()

    def is_done(self) -> bool:
        """Return whether the configuration is complete.

        If factstore does not answer, the wait continues.

        :raises ConfigurationFailed: the hook failed.
        :raises ConfigurationLost: the member departed or expired during the run, or never joined.
        :raises ConfigurationTimedOut: nothing changes although the member is there.
        :raises ConfigurationGone: the configuration was deleted.
        """
        try:
            return self._is_complete(self._show())
        except Unanswered:
            self._changed = self._now()
            return False

    def is_undeployed(self) -> bool:
        """Return whether the software was removed, or its member does not exist any more.

        :raises ConfigurationFailed: the hook failed.
        :raises ConfigurationTimedOut: nothing changes although the member is there.
        """
        try:
            found = self._show()
            # A hook that was run to its end is judged by its result, whatever became of the member.
            if found.state in ("waiting", "due", "lost") and not self.has_member():
                return True
            return self._is_complete(found)
        except (ConfigurationGone, ConfigurationLost):
            return True
        except Unanswered:
            self._changed = self._now()
            return False

    def has_member(self) -> bool:
        """Return whether an agent has joined as the member.

        :raises Unanswered: factstore does not answer.
        """
        return self._poll.read(lambda bag: is_joined(bag, self._member))

    def _show(self) -> ConfigurationRecord:
        etag = self._found.etag if self._found is not None else None
        try:
            found = self._poll.read(
                lambda bag: bag.configuration(self._member, self._name).show(if_none_match=etag)
            )
        except errors.NotFound as error:
            raise ConfigurationGone(
                f"configuration {self._key} was deleted while the stack waited for it."
            ) from error
        if found is not None:
            self._found, self._changed = found, self._now()
        assert self._found is not None  # noqa: S101 - without an etag, show returns a record
        return self._found

    def _is_complete(self, found: ConfigurationRecord) -> bool:
        if found.state == "complete":
            self._check_outputs(found)
            return True
        if found.state == "failed":
            raise ConfigurationFailed(_description(found))
        waits_on = self._now() - self._changed < self._patience
        # A member that was rebooted may join again and repeat the run.
        if found.state == "lost" and not (found.on_interrupt == "retry" and waits_on):
            raise ConfigurationLost(
                f"configuration {self._key} is lost: member {self._member} departed or expired while "
                f"it ran.{_printed(found)}"
            )
        if not waits_on:
            self._check_moving(found)
            self._changed = self._now()
        return False

    def _check_outputs(self, found: ConfigurationRecord) -> None:
        outputs = found.result.outputs if found.result is not None else {}
        for name in self._error_outputs:
            if outputs.get(name):
                raise ConfigurationFailed(
                    f"configuration {self._key}: output {name}, which reports errors, is "
                    f"{str(outputs[name])[:_TAIL]}.{_printed(found)}"
                )

    def _check_moving(self, found: ConfigurationRecord) -> None:
        """Raise an error unless others still do what the configuration waits for."""
        if not self.has_member():
            raise ConfigurationLost(
                f"configuration {self._key} is lost: no agent has joined as member {self._member}, or "
                "it has departed or expired. See the instance's console and the log of its agent."
            )
        listed = self._poll.read(lambda bag: bag.configurations())
        others = (
            {f"{each.member}/{each.name}": each for each in listed.configurations} if listed else {}
        )
        if found.state == "waiting":
            states = {
                key: others[key].state if key in others else "missing" for key in found.waits_for
            }
            if all(state in _MOVING for state in states.values()):
                return
            stuck = ", ".join(f"{key} ({state})" for key, state in states.items())
            raise ConfigurationTimedOut(
                f"configuration {self._key} still waits for: {stuck}. Mend or remove them."
            )
        if found.state == "due":
            if any(
                each.member == self._member and each.state == "in_progress"
                for each in others.values()
            ):
                return
            raise ConfigurationTimedOut(
                f"configuration {self._key} has not begun for {self._patience:g} s, although member "
                f"{self._member} is there. Its agent must have [deploy] hooks in its configuration; "
                "see its log."
            )
        raise ConfigurationTimedOut(
            f"configuration {self._key} has made no progress for {self._patience:g} s.{_printed(found)}"
        )


def is_joined(bag: Stack, member: str) -> bool:
    """Return whether an agent has joined as a member and has not departed or expired."""
    try:
        return bag.member(member).show().ttl is not None
    except errors.NotFound:
        return False


def _description(found: ConfigurationRecord) -> str:
    """Return why a configuration failed, with the end of what it printed."""
    result = found.result
    assert result is not None  # noqa: S101 - the state follows from the result
    why = result.reason or f"the hook reported status {result.status_code}"
    return f"configuration {found.member}/{found.name} failed: {why}.{_printed(found)}"


def _printed(found: ConfigurationRecord) -> str:
    result = found.result
    text = (result.stderr or result.stdout or result.message).strip() if result else ""
    if not text:
        return ""
    return f" The end of its output: {'...' if len(text) > _TAIL else ''}{text[-_TAIL:]}"
