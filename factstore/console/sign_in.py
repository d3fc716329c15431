"""The sign-in as a port: what the console needs from Keystone, and how often it may ask for it."""

from __future__ import annotations

import math
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime
from typing import Protocol

from factstore.core.errors import FactstoreError, Throttled, Unavailable
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.ports import Clock

TOKEN_LENGTH = 3500  # a browser keeps cookies of up to 4096 characters


class SignInRefused(FactstoreError):
    """Keystone does not accept the credentials."""

    code = "unauthorized"


class IdentityUnavailable(Unavailable):
    """Keystone does not answer."""

    code = "identity_unavailable"


@quick_dataclass(frozen=True, slots=True)
class Password:
    """A user's password, and the project for which a token is wanted."""

    user: str
    user_domain: str
    password: str = field(repr=False)
    project: str
    project_domain: str


@quick_dataclass(frozen=True, slots=True)
class Token:
    """A token for a project."""

    text: str = field(repr=False)
    user: str
    project: str
    expires_at: datetime


class IdentityService(Protocol):
    """Keystone, as far as the console needs it.

    Each method raises :class:`IdentityUnavailable` if Keystone does not answer.
    """

    def issue(self, password: Password) -> Token:
        """Return a new token.

        :raises SignInRefused: Keystone does not accept the password for the project.
        """

    def check(self, text: str) -> Token:
        """Return the token with this text.

        :raises SignInRefused: the token is not valid.
        """

    def revoke(self, text: str) -> None:
        """Revoke a token; nothing happens if it is not valid any more."""


@quick_dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Attempts:
    """The rate of sign-ins in this process, so that nobody can guess passwords or keep Keystone busy.

    :param burst: failed attempts of one user from one address at once; afterwards one each *interval*
        seconds.
    :param concurrent: sign-ins of all users at the same time.
    """

    def __init__(
        self, clock: Clock, *, burst: int = 5, interval: float = 5.0, concurrent: int = 16
    ) -> None:
        self._clock = clock
        self._burst = burst
        self._interval = interval
        self._free = concurrent
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, ...], _Bucket] = {}

    @contextmanager
    def attempt(self, *who: str) -> Iterator[None]:
        """Count an attempt, and forget the failed ones before it if it succeeds.

        :param who: address, user and domain.
        :raises Throttled: there were too many attempts, or too many are in progress.
        """
        who = tuple(map(_same_name, who))
        with self._lock:
            self._charge(who)
            if self._free <= 0:
                raise Throttled("Too many sign-ins are in progress. Try again in a second.")
            self._free -= 1
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            with self._lock:
                self._free += 1
                if succeeded:
                    self._buckets.pop(who, None)

    def _charge(self, who: tuple[str, ...]) -> None:
        now = self._clock.monotonic()
        if len(self._buckets) >= _FORGET_ABOVE:
            full = self._burst * self._interval
            self._buckets = {
                key: each for key, each in self._buckets.items() if now - each.at < full
            }
            if len(self._buckets) >= _FORGET_ABOVE:
                raise Throttled("Too many users sign in. Try again later.", retry_after=10)
        bucket = self._buckets.setdefault(who, _Bucket(self._burst, now))
        refilled = bucket.tokens + (now - bucket.at) / self._interval
        bucket.tokens, bucket.at = min(self._burst, refilled), now
        if bucket.tokens < 1:
            seconds = math.ceil((1 - bucket.tokens) * self._interval)
            raise Throttled(
                "There were too many attempts to sign in as this user. Wait before you try again.",
                retry_after=seconds,
            )
        bucket.tokens -= 1


def _same_name(name: str) -> str:
    """Return a text that is the same for all spellings that a database of Keystone takes for equal.

    MySQL compares names without case, accents and spaces at the end.
    """
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(each for each in letters if not unicodedata.combining(each)).strip()


_FORGET_ABOVE = 10_000  # buckets
