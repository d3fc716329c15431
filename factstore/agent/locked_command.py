"""A command that runs while this member holds its turn in a queue, and ends if the turn is lost."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import threading
from contextlib import suppress
from types import FrameType

from factstore.agent.config.settings import Settings
from factstore.agent.errors import (
    EXIT_TURN_LOST,
    NOT_A_MEMBER,
    RETRYABLE,
    AgentError,
    describe,
)
from factstore.agent.session.connection import open_connection
from factstore.agent.session.member_state import (
    generation_in,
    not_a_member,
    state_dir_of,
    unavailable,
)
from factstore.agent.session.membership import HEARTBEATS_PER_TTL
from factstore.agent.session.turn import MemberTurn
from factstore.client import Stack, TurnRecord
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock
from factstore.client.errors import Conflict, NotFound, Refused, Unauthorized, Unavailable
from factstore.client.transport import LONGEST_WAIT

GRACE_SECONDS = 30.0  # between SIGTERM and SIGKILL, when the turn was lost
_POLL_SECONDS = 0.5  # while another process of this instance uses the turn
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # the statuses that shells use
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Interrupted(Exception):
    """A signal arrived before the command was started."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class LockedCommand:
    """A command that runs while this member holds its turn in a queue."""

    def __init__(self, settings: Settings, args: argparse.Namespace, clock: Clock) -> None:
        self._settings = settings
        self._queue: str = args.queue
        self._argv: list[str] = args.argv
        self._max_parallel: int = args.max_parallel
        self._leader: bool = args.leader
        self._clock = clock
        self._deadline = clock.monotonic() + args.timeout
        self._state = state_dir_of(settings)
        self._state.create()
        self._stack = self._connect()
        self._turn = MemberTurn(self._stack, settings.agent.member, args.queue, self._state)
        self._generation = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._early_signals: list[int] = []
        self._ended = threading.Event()
        self._lost = False

    def run(self) -> int:
        """Run the command in the turn, and return the exit status.

        :raises AgentError: the agent is not a member, or the turn was not held in time.
        :raises FactstoreError: the service refuses the turn.
        """
        for number in _FORWARDED:
            signal.signal(number, self._on_signal)
        try:
            held = self._wait_for_turn()
            return self._run_command(held)
        except _Interrupted as interrupted:
            return 128 + interrupted.number
        finally:
            self._give_back()

    def _wait_for_turn(self) -> TurnRecord:
        backoff = Backoff()
        while True:
            left = self._deadline - self._clock.monotonic()
            pause = _POLL_SECONDS
            if self._turn.try_lock():
                try:
                    taken = self._take(min(max(left, 0.0), LONGEST_WAIT))
                    if taken.holds:
                        return taken
                    pause = 0.0
                    backoff.reset()
                except RETRYABLE as error:
                    # The agent may just be joining again, or renewing its grant.
                    passing = isinstance(error, Unauthorized) or (
                        isinstance(error, (Conflict, NotFound)) and error.code in NOT_A_MEMBER
                    )
                    lasting = isinstance(error, Unavailable) and error.is_permanent
                    if lasting or (isinstance(error, Refused) and not passing):
                        raise
                    if passing and self._state.agent_pid() is None:
                        raise not_a_member(self._state, error) from error
                    if isinstance(error, Unauthorized):
                        self._stack = self._connect()
                    pause = backoff.pause(getattr(error, "retry_after", None))
            if left <= pause:
                raise unavailable(f"The turn in queue {self._queue} was not held in time.")
            self._clock.sleep(pause)

    def _take(self, wait: float) -> TurnRecord:
        self._generation = generation_in(self._state)
        taken = self._turn.take(self._generation, max_parallel=self._max_parallel, wait=wait)
        if taken.rank is not None:
            self._turn.keep()
            raise AgentError(f"Queue {self._queue} is used for ranks; use another name.")
        return taken

    def _run_command(self, held: TurnRecord) -> int:
        handle = self._turn.handle
        assert handle is not None  # noqa: S101 - the turn was taken with the lock
        self._starting = True
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - the caller's own command
                self._argv,
                env={**os.environ, "FACTSTORE_TURN": str(held.revision)},
                # If this process is killed, the command still has the lock, so that the agent does
                # not give the turn back before the command has ended.
                pass_fds=(handle,),
                preexec_fn=os.setpgrp,  # its own process group; no other thread runs yet
            )
        except OSError as error:
            status = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
            failure = AgentError(f"{self._argv[0]} cannot be executed: {error.strerror}")
            failure.status = status
            raise failure from error
        for number in self._early_signals:
            self._send_signal(number)
        watch = threading.Thread(target=self._watch, args=[held], daemon=True)
        watch.start()
        status = process.wait()
        self._ended.set()
        if self._lost:
            return EXIT_TURN_LOST
        return status if status >= 0 else 128 - status

    def _watch(self, held: TurnRecord) -> None:
        """Terminate the command when the turn is lost."""
        ttl = self._settings.agent.ttl
        wait = min(LONGEST_WAIT, ttl / HEARTBEATS_PER_TTL)
        turn = self._stack.turn(self._queue, self._settings.agent.member)
        confirmed, etag = self._clock.monotonic(), None
        while not self._ended.is_set():
            started = self._clock.monotonic()
            try:
                found = turn.show(if_none_match=etag, wait=wait if etag else 0)
            except NotFound:
                break
            except RETRYABLE as error:
                # The member expires without the service. The agent may also have another grant now.
                if started - confirmed > ttl:
                    _warn(f"the turn cannot be confirmed: {describe(error)}")
                    break
                with suppress(AgentError):
                    turn = self._connect().turn(self._queue, self._settings.agent.member)
                self._ended.wait(1.0)
                continue
            if found is not None:
                if not found.holds or found.revision != held.revision:
                    break
                etag = found.etag
            elif self._clock.monotonic() - started < wait / 2:
                self._ended.wait(1.0)  # a stopping service ends its requests early
            confirmed = started
        if not self._ended.is_set():
            self._terminate()

    def _terminate(self) -> None:
        assert self._process is not None  # noqa: S101 - the command was started
        self._lost = True
        _warn(f"the turn in queue {self._queue} was lost; terminating the command")
        self._send_signal(signal.SIGTERM)
        if not self._ended.wait(GRACE_SECONDS):
            self._send_signal(signal.SIGKILL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._process is not None:
            self._send_signal(number)
        elif self._starting:
            self._early_signals.append(number)
        else:
            raise _Interrupted(number)

    def _send_signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _give_back(self) -> None:
        if self._turn.handle is None:
            return
        if self._leader and self._process is not None:
            self._turn.keep()
            return
        if not self._generation:  # this process has not requested the turn
            self._turn.unlock()
            return
        try:
            self._turn.give_back(self._generation)
        except RETRYABLE as error:
            _warn(f"the agent will give the turn back later: {describe(error)}")

    def _connect(self) -> Stack:
        return open_connection(self._settings, os.environ).stack


def _warn(text: str) -> None:
    os.write(2, f"factstore-agent: {text}\n".encode())
