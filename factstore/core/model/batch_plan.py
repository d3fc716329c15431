"""The plan of a batch: a token that stands for what the batch would do, and for what that depends on.

It protects only its holder: a client that forges one gets a refusal, or a batch that it could have sent
without a plan.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple, Self

from factstore.core.errors import Invalid
from factstore.core.model.cursor import CURSOR_PATTERN, Cursor
from factstore.core.model.path import quoted
from factstore.core.model.value import encode

_DIGEST = "[0-9a-f]{16}"
_REQUEST = "[0-9a-f]{64}|[A-Za-z0-9_-]{100,300}={0,2}"
PLAN_PATTERN = rf"{CURSOR_PATTERN}(?:\.{_DIGEST}){{4}}\.(?:{_REQUEST})\.{_DIGEST}"
_PLAN = re.compile(PLAN_PATTERN)


class BatchPlan(NamedTuple):
    """The plan of a batch.

    :param cursor: of the state on which it was made.
    :param facts: the digest of the facts and the members that the batch names, and of its results.
    :param waiters: the digest of the waiters that would change, and how.
    :param alarms: the digest of the alarms that would change, and how.
    :param members: the digest of the members that would be woken.
    :param request: the digest of the batch itself; sealed if the batch has sensitive values.
    """

    cursor: Cursor
    facts: str
    waiters: str
    alarms: str
    members: str
    request: str

    @property
    def is_sealed(self) -> bool:
        """True if the batch has sensitive values."""
        return len(self.request) > 64

    def __str__(self) -> str:
        """Return the token: the parts, and a digest by which a damaged token is recognised."""
        text = ".".join(map(str, self))
        return f"{text}.{part_digest(text)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the plan that a text spells.

        :raises Invalid: ``plan_invalid``.
        """
        plan, _, check = text.rpartition(".")
        if not _PLAN.fullmatch(text) or check != part_digest(plan):
            raise Invalid(
                f"{quoted(text)} is not a plan, or a part of it was lost or changed on its way; send "
                "the one that the dry run returned, unchanged.",
                code="plan_invalid",
            )
        epoch, revision, facts, waiters, alarms, members, request = plan.split(".")
        cursor = Cursor.parse(f"{epoch}.{revision}")
        return cls(cursor, facts, waiters, alarms, members, request)


def part_digest(part: object) -> str:
    """Return the digest of a part of a plan, which JSON can encode."""
    return request_digest(part)[:16]


def request_digest(request: object) -> str:
    """Return the digest of a batch, which JSON can encode."""
    return hashlib.sha256(encode(request).encode()).hexdigest()
