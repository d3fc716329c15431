"""Tries of one call at one member after the other, none of which is given up for the next one.

A call that was lost with a leader of etcd is answered as soon as there is another one, but nobody knows
when, and by which member.  So a call that may be repeated is begun again and again, and the first
response counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

from factstore.core.errors import Unavailable
from factstore.store.client.errors import is_stale_token, raise_known_error, was_never_sent

EVERY_SECONDS = 0.15  # between two tries
TRY_SECONDS = 2.0  # of each: longer than an election, and bounds how many of them run at a time


class Hedge:
    """The tries of one call.

    :param make: makes the call at a member, by its number, with a timeout.
    :param members: their number.
    :ivar answered_by: the member whose response counts.
    """

    def __init__(self, make: Callable[[int, float], Any], members: int) -> None:
        self._make = make
        self._members = members
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._answer: Any = None
        self._error: Exception | None = None
        self._failed = 0
        self._unreached: set[int] = set()  # members that the last try did not reach
        self.answered_by = -1

    def first_answer(self, first: int, deadline: float) -> Any:
        """Return the first response, beginning with a member.

        :raises Unavailable: there was none before the deadline, or no member can be reached.
        """
        number = first
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unavailable("etcd did not answer in time.")
            self._news.clear()
            seconds = min(left, TRY_SECONDS)
            threading.Thread(
                target=self._try, args=(number, seconds), name="etcd-try", daemon=True
            ).start()
            number = (number + 1) % self._members
            self._wait(min(left, EVERY_SECONDS))
            with self._lock:
                if self.answered_by >= 0:
                    return self._answer
                if self._error is not None:
                    raise self._error
                if len(self._unreached) == self._members:
                    raise Unavailable("The store cannot be reached.")

    def _wait(self, seconds: float) -> None:
        """Wait until it is time for the next try; a member that fails at once is not waited for."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self._news.wait(left):
            self._news.clear()
            with self._lock:
                ended = self.answered_by >= 0 or self._error is not None
                if ended or self._failed % self._members or len(self._unreached) == self._members:
                    return

    def _try(self, member: int, seconds: float) -> None:
        try:
            answer = self._make(member, seconds)
        except grpc.RpcError as error:
            self._note_failure(member, error)
        except Exception as error:  # noqa: BLE001 - the caller raises it
            self._end(error)
        else:
            with self._lock:
                if self.answered_by < 0:
                    self._answer, self.answered_by = answer, member
            self._news.set()

    def _note_failure(self, member: int, error: Any) -> None:
        try:
            if not is_stale_token(error):  # the next try has a new one
                raise_known_error(error)
        except Exception as known:  # noqa: BLE001 - the caller raises it
            self._end(known)
            return
        with self._lock:
            self._failed += 1
            if was_never_sent(error):
                self._unreached.add(member)
            else:
                self._unreached.discard(member)
        self._news.set()

    def _end(self, error: Exception) -> None:
        with self._lock:
            self._error = self._error or error
        self._news.set()
