"""Calls to the members of an etcd cluster, each to one member at a time.

A call that fails at one member is made at another one, if it may be repeated.  A try that takes
longer than usual is given up long before the deadline of its call, as patience.py describes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.core.services.outage_log import OutageLog
from factstore.store.client import messages as rpc
from factstore.store.client.endpoint import Endpoint
from factstore.store.client.errors import (
    Refused,
    describe,
    is_stale_token,
    not_sent,
    raise_known_error,
    was_never_sent,
)
from factstore.store.client.hedge import Hedge
from factstore.store.client.patience import READ_SECONDS, WRITE_SECONDS, Patience
from factstore.store.client.slots import Slots
from factstore.store.types import Credentials

LOG = logging.getLogger(__name__)

_ALARMS = {1: "NOSPACE", 2: "CORRUPT"}  # the library does not know the second

PROBE_SECONDS = 0.15  # for a member to answer from its own memory
PAUSE_SECONDS = 0.05  # after each endpoint has failed once, before the next round
_ANSWERS = "etcd answers again"
REFUSAL_SECONDS = 60.0  # between two lines of the log about the same
ORDINARY_CALLS = 32
"""At a time.  While etcd is away, many heartbeats wait for it, and must not keep out what many others
wait for: reads of the newest revision, and fences."""


class Calls:
    """Calls with gRPC.

    :param observe: called with the name and the duration of every attempt.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        credentials: Credentials,
        observe: Callable[[str, float], None],
    ) -> None:
        self._urls = list(endpoints)
        self._endpoints = [Endpoint(url, credentials) for url in endpoints]
        self._outage = OutageLog(LOG)
        self._credentials = credentials
        self._observe = observe
        self._patience = Patience(len(endpoints))
        self._current = 0
        self._answered = [0.0] * len(endpoints)  # when each has last answered what needs a leader
        self._slots = Slots(ORDINARY_CALLS)
        self._token = ""
        self._closed = False
        self._refusal, self._refusal_until = "", 0.0
        self._lock = threading.Lock()

    def versions(self, *, deadline: float) -> dict[str, str]:
        """Return the version of etcd at each endpoint, by URL; empty for one that does not answer."""
        metadata, found = self._authenticate(deadline), {}
        for url, endpoint in zip(self._urls, self._endpoints, strict=True):
            try:
                left = max(0.1, deadline - time.monotonic()) / len(self._urls)
                answer = endpoint.calls["status"](
                    rpc.StatusRequest(), timeout=left, metadata=metadata
                )
                found[url] = str(answer.version)
            except grpc.RpcError:
                found[url] = ""
        return found

    def alarms(self, *, deadline: float) -> list[str]:
        """Return the alarms that members have raised, such as ``NOSPACE``; sorted, each once."""
        answer = self._call("alarm", rpc.AlarmRequest(), deadline, reads=True)
        return sorted({_ALARMS.get(each.alarm, str(each.alarm)) for each in answer.alarms})

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Raise Unavailable if the client is closed, in place of the ValueError of gRPC."""
        try:
            yield
        except Refused as error:
            self._log_refusal(error)
            raise
        except ValueError as error:
            if not self._closed:
                raise
            raise Unavailable("The store cannot be reached: its client is closed.") from error

    def _log_refusal(self, error: Refused) -> None:
        """Log a refusal, unless it was logged just now: many calls have the same."""
        said, now = f"{error.detail[:-1]}: {error.reason}", time.monotonic()
        if said != self._refusal or now >= self._refusal_until:
            self._refusal, self._refusal_until = said, now + REFUSAL_SECONDS
            LOG.error("%s", said)

    def _note_silence(self, url: str) -> None:
        """Prefer another endpoint, because this one has not answered in time."""
        self._patience.note_loss()
        self._abandon(self._urls.index(url), time.monotonic() - READ_SECONDS)

    def _call(
        self,
        call: str,
        request: Any,
        deadline: float,
        *,
        reads: bool,
        short: bool = False,
        hedged: bool = False,
    ) -> Any:
        with self._open():
            if hedged:
                return self._send(call, request, deadline, reads, short, hedged)
            if not self._slots.acquire(max(0.0, deadline - time.monotonic())):
                raise not_sent()
            try:
                return self._send(call, request, deadline, reads, short)
            finally:
                self._slots.release()

    def _send(
        self,
        call: str,
        request: Any,
        deadline: float,
        reads: bool,
        short: bool = False,
        hedged: bool = False,
    ) -> Any:
        """Make a call, and repeat it while that does no harm.

        :param short: True if its response is short, so that a try that takes long was lost.  Tries of a
            read are repeated until the deadline, unless no endpoint can be reached.
        :param hedged: True if many wait for its response: after a loss, tries overlap.
        """
        tries = count = len(self._endpoints)
        failures = unreached = 0
        reauthenticated = False
        while True:
            # The token is valid in the whole cluster. A member that cannot issue one is abandoned.
            metadata = self._authenticate(deadline) if call != "authenticate" else ()
            if hedged and (failures or self._patience.tried):
                return self._hedge(call, request, deadline)
            if short and (failures or self._patience.tried):
                self._skip_silent(deadline)
            tried = self._current
            endpoint = self._endpoints[tried]
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unavailable("etcd did not answer in time.") if failures else not_sent()
            if short:
                usual = READ_SECONDS if reads else WRITE_SECONDS
                share = min(left, self._patience.seconds(usual))
            else:
                share = left / tries if reads else left
            began, started = time.perf_counter(), time.monotonic()
            try:
                answer = endpoint.calls[call](request, timeout=share, metadata=metadata)
            except grpc.RpcError as error:
                if not reauthenticated and is_stale_token(error):
                    self._forget_token()
                    reauthenticated = True
                    continue
                raise_known_error(error)
                if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                    self._patience.note_loss()
                self._read_files_again(tried, error)
                self._abandon(tried, started)
                never_sent = was_never_sent(error)
                if not reads and not never_sent:
                    raise OutcomeUnknown(
                        "The store did not confirm the write in time, and may have made it. Read to "
                        "find out, or send the same request again with an Idempotency-Key."
                    ) from error
                failures += 1
                unreached = unreached + 1 if never_sent else 0
                if short and reads and unreached < count:
                    if failures % count == 0:
                        time.sleep(PAUSE_SECONDS)
                    continue
                tries = 0 if short and reads else tries - 1
                if tries <= 0:
                    self._outage.failed("no etcd endpoint answers: %s", describe(error))
                    raise Unavailable("The store cannot be reached.") from error
            else:
                self._answered[tried] = time.monotonic()
                self._outage.succeeded(_ANSWERS)
                if short:
                    self._patience.note_answer()
                return answer
            finally:
                self._observe(call, time.perf_counter() - began)

    def _read_files_again(self, member: int, error: Any) -> None:
        """Use the present files of TLS, if a connection has failed."""
        unreached = error.code() == grpc.StatusCode.UNAVAILABLE
        if unreached and self._endpoints[member].renew():
            LOG.info(
                "the files of TLS in [etcd] have changed; %s is reached with them",
                self._urls[member],
            )

    def _hedge(self, call: str, request: Any, deadline: float) -> Any:
        """Return the first response to overlapping tries, and prefer the member that it is from."""

        def make(member: int, seconds: float) -> Any:
            metadata = self._authenticate(deadline)
            began = time.perf_counter()
            try:
                return self._endpoints[member].calls[call](
                    request, timeout=seconds, metadata=metadata
                )
            except grpc.RpcError as error:
                if is_stale_token(error):
                    self._forget_token()
                self._read_files_again(member, error)
                raise
            finally:
                self._observe(call, time.perf_counter() - began)

        hedge, first = Hedge(make, len(self._endpoints)), self._current
        answer = hedge.first_answer(first, deadline)
        self._answered[hedge.answered_by] = time.monotonic()
        self._outage.succeeded(_ANSWERS)
        self._patience.note_answer()
        self._switch(first, hedge.answered_by)
        return answer

    def _skip_silent(self, deadline: float) -> None:
        """Prefer a member that answers from its own memory, which a member without a leader does.

        It answers the call as soon as there is a leader; one that is frozen does not.
        """
        for _ in self._endpoints[1:]:
            tried = self._current
            left = deadline - time.monotonic()
            if left <= 0 or self._endpoints[tried].is_alive(min(left, PROBE_SECONDS)):
                return
            self._switch(tried, (tried + 1) % len(self._endpoints))

    def _abandon(self, tried: int, since: float = math.inf) -> None:
        """Prefer another endpoint than one that failed, unless that has answered since the try."""
        if self._answered[tried] < since:
            self._switch(tried, (tried + 1) % len(self._endpoints))

    def _switch(self, former: int, endpoint: int) -> None:
        """Prefer another endpoint, unless somebody has done so before."""
        with self._lock:
            if self._current != former or endpoint == former:
                return
            self._current = endpoint
        self._end_watches(former)

    def _end_watches(self, endpoint: int) -> None:
        """End the watches on an endpoint that was abandoned."""
        raise NotImplementedError

    def _authenticate(self, deadline: float) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call, with a token if there is a user; request one if necessary."""
        if not self._credentials.username:
            return ()
        if not (token := self._token):
            request = rpc.AuthenticateRequest(
                name=self._credentials.username, password=self._credentials.password
            )
            token = self._send("authenticate", request, deadline, reads=True).token
            self._token = token
        return (("token", token),)

    def _loop_token(self) -> str | None:
        """Return the token of the user; empty without a user, None if none was issued yet."""
        return (self._token or None) if self._credentials.username else ""

    def _forget_token(self) -> None:
        self._token = ""
