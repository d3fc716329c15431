"""Grants and their holders, and changes to grants that only time or an intruder could make."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

from factstore.core.model.grant import Grant
from factstore.core.model.record import RecordKey
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials, PutKey, Txn
from tests.http import Caller
from tests.patient_client import PatientClient

LONG_AGO = "2026-01-01T00:00:00.000000Z"
ROOT = "/factstore/v1"


@dataclass(frozen=True)
class Held:
    """The id and the secret of a grant."""

    id: str
    secret: str

    @property
    def token(self) -> str:
        return f"{self.id}.{self.secret}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def basic(self) -> dict[str, str]:
        return {"Authorization": f"Basic {encoded(f'{self.id}:{self.secret}')}"}

    def caller(self, url: str) -> Caller:
        """Return a client that sends the grant."""
        return Caller(url, self.bearer)


def encoded(text: str) -> str:
    """Return user and password in the form of HTTP Basic."""
    return base64.b64encode(text.encode()).decode()


def issue(owner: Caller, stack: str, member: str | None = "c1", **fields: Any) -> Held:
    """Issue a grant of a stack, by default for an agent.

    :param stack: the path of the stack.
    """
    answer = owner.post(f"{stack}/grants", json={"member": member, **fields})
    answer.raise_for_status()
    issued = answer.json()
    return Held(issued["id"], issued["secret"])


def issue_reader(owner: Caller, stack: str, member: str | None = None) -> Held:
    """Issue a grant for a reader."""
    return issue(owner, stack, member, role="reader")


def let_expire(endpoint: str, owner: Caller, stack: str, grant: Held) -> None:
    """Let a grant expire by changing its record in etcd; it remains attached to its lease."""
    place = RecordKey(Grant, grant.id)
    project: str = owner.get(stack).json()["project_id"]
    key = Keyspace(ROOT).record(project, grant.id.partition("-")[0], place)
    raw = PatientClient([endpoint], Credentials())
    try:
        (item,) = raw.get(key, deadline=time.monotonic() + 60).items
        record = json.loads(item.value)
        assert record["expires_at"] > LONG_AGO
        record["expires_at"] = LONG_AGO
        put = PutKey(key, json.dumps(record).encode(), item.lease)
        raw.transact(Txn([], [put]), deadline=time.monotonic() + 60)
    finally:
        raw.close()
