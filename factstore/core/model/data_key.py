"""The record of a stack's data key, under which the values of its sensitive facts are sealed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from factstore.core.model.record_key import RecordKey

DATA_KEY = RecordKey("seal", "key")
WRAPPED_PATTERN = re.compile(r"[A-Za-z0-9_-]{100,}={0,2}")
"""A wrapped data key, as far as it can be told without a key."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A stack's data key as it may be kept: wrapped with a key of the service's keyring.

    It is made with the first sensitive fact and stays for the stack's life: when the keyring changes,
    only the wrapping does, and no fact.
    """

    wrapped: str
    revision: int = 0
    lease: int = 0

    @property
    def record_key(self) -> RecordKey:
        """Where it lies in its stack."""
        return DATA_KEY
