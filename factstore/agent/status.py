"""The agent's own status, which is published in the member's results below ``agent/``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from factstore.agent.apply.errors import ApplyError
from factstore.agent.apply.reconciler import Reconciler
from factstore.agent.errors import RETRYABLE, AgentError
from factstore.agent.publish.publisher import Publisher
from factstore.agent.session.hook_turn import HookTurn
from factstore.agent.session.rejoin_grace import RejoinGrace

LOG = logging.getLogger(__name__)

APPLYING_SECONDS = 1.0
"""The state ``applying`` is published after this time, so that brief hooks cost no request."""


class Status:
    """The state of the agent, and its problems.

    :param publish: publishes the status.
    :ivar source_problems: the reason for each source of facts that is skipped.
    :ivar apply_error: the failure of the last attempt to apply a context; None if it succeeded.
    :ivar copied_to: the place of a copy of the state directory, with which another agent was started.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        publisher: Publisher,
        turn: HookTurn | None,
        grace: RejoinGrace,
        publish: Callable[[], None],
    ) -> None:
        self._reconciler = reconciler
        self._publisher = publisher
        self._turn = turn
        self._grace = grace
        self._publish = publish
        self._applying_since: str | None = None
        self.source_problems: Mapping[str, str] = {}
        self.apply_error: ApplyError | None = None
        self.copied_to: str | None = None

    @contextmanager
    def applying(self) -> Iterator[None]:
        """Publish the state ``applying`` if the block takes long."""
        self._applying_since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        # A thread of its own, because a service that does not answer must not delay hooks.
        timer = threading.Timer(APPLYING_SECONDS, self._publish_applying)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._applying_since = None

    def _publish_applying(self) -> None:
        try:
            self._publish()
        except (*RETRYABLE, AgentError, OSError) as error:
            # The publication after the hooks fails for the same reason, and is repeated.
            LOG.debug("the state could not be published: %s", error)

    def results(self) -> dict[str, Any]:
        """Return the results by path; none before the first attempt to apply."""
        applied = self._reconciler.applied_cursor is not None
        since, error = self._applying_since, self.apply_error
        queued = self._turn is not None and self._turn.waiting
        waiting = bool(self._grace.missing)
        if not (applied or since or queued or waiting or error or self.source_problems):
            return {}
        problems = {
            **self.source_problems,
            **self._publisher.problems,
            **self._reconciler.problems,
            **self._grace.problems,
        }
        if error is not None:
            problems[error.source] = error.reason
        if self.copied_to is not None:
            problems["identity"] = f"the state directory was copied to {self.copied_to}"
        if since is not None:
            state = "applying"
        elif waiting:
            state = "waiting_for_members"
        elif queued:
            state = "waiting_for_turn"
        elif error is not None:
            state = "failed"
        else:
            state = "applied" if applied else "starting"
        status: dict[str, Any] = {"state": state, "applying_since": since, "problems": problems}
        if self._reconciler.mismatches:
            status["read_set_mismatches"] = self._reconciler.mismatches
        lacking = self._reconciler.lacking.paths(failed=error is not None)
        if lacking is not None:
            status["missing"] = lacking
        return {f"agent/{name}": value for name, value in status.items()}
