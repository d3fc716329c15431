"""etcd without the service: its JSON gateway, as a witness that shares no code with what is judged."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from factstore.store.key_builder import KeyRange
from factstore.store.keyspace import Keyspace
from tests.faults.checker import Held, RawChange, Scope, canonical

ROOT = "/factstore/v1"
TIMEOUT = 60.0


class Fed(Protocol):
    """Takes in the revisions of a store, such as a history."""

    revision: int

    def feed(self, revision: int, changes: Sequence[RawChange]) -> None: ...


class RawEtcd:
    """One member's JSON gateway."""

    def __init__(self, endpoint: str) -> None:
        self._address = urlsplit(endpoint).netloc
        self.keyspace = Keyspace(ROOT)

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One request.  Raises OSError, also for an error that etcd answers."""
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT)
        try:
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            content: dict[str, Any] = json.loads(answer.read())
        except http.client.HTTPException as error:
            raise OSError(repr(error)) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"{path}: {content}")
        return content

    def head(self) -> int:
        """The newest revision, linearizably."""
        answer = self.call("/v3/kv/range", {"key": _text(b"\0")})
        return int(answer["header"]["revision"])

    def keys(self, keys: KeyRange) -> dict[bytes, dict[str, Any]]:
        """Return all keys of a range, with their values and revisions."""
        body = {"key": _text(keys.start), "range_end": _text(keys.end)}
        found = self.call("/v3/kv/range", body).get("kvs", [])
        return {base64.b64decode(item["key"]): item for item in found}

    def facts(self, scope: Scope) -> dict[str, Held]:
        """Return the facts in a stack's keys; empty if the stack does not exist."""
        record = self.keys(self.keyspace.stacks(scope.project_id)).get(self.keyspace.stack(*scope))
        if record is None:
            return {}
        stack_id = json.loads(base64.b64decode(record["value"]))["id"]
        found = {}
        for key, item in self.keys(self.keyspace.facts(scope.project_id, stack_id)).items():
            parsed = self.keyspace.parse(key)
            assert parsed is not None, key
            text = base64.b64decode(item["value"]).partition(b"\n")[2]
            found[parsed.name] = Held(int(item["mod_revision"]), canonical(json.loads(text)))
        return found

    def lease_of(self, scope: Scope, path: str) -> int:
        """Return the lease of a fact, or 0."""
        record = self.keys(self.keyspace.stacks(scope.project_id))[self.keyspace.stack(*scope)]
        stack_id = json.loads(base64.b64decode(record["value"]))["id"]
        items = self.keys(self.keyspace.facts(scope.project_id, stack_id))
        item = items[self.keyspace.fact(scope.project_id, stack_id, path)]
        return int(item.get("lease", "0"))

    def lease_left(self, lease: int) -> int:
        """Seconds that a lease still has; -1 when it has ended."""
        return int(self.call("/v3/lease/timetolive", {"ID": str(lease)}).get("TTL", "0"))

    def compact(self, revision: int) -> None:
        """Give up the history before a revision, and wait until it is gone."""
        self.call("/v3/kv/compaction", {"revision": str(revision), "physical": True})

    def witness(self, history: Fed) -> None:
        """Bring a history up to the present.  Raises OSError if part of it was compacted."""
        head = self.head()
        if history.revision >= head:
            return
        everything = self.keyspace.everything
        for revision, changes in self._watch(everything, history.revision + 1):
            history.feed(revision, changes)
            if revision >= head:
                return

    def _watch(self, keys: KeyRange, start: int) -> Iterator[tuple[int, list[RawChange]]]:
        request = {
            "create_request": {
                "key": _text(keys.start),
                "range_end": _text(keys.end),
                "start_revision": str(start),
            }
        }
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT)
        try:
            connection.request("POST", "/v3/watch", json.dumps(request))
            for line in connection.getresponse():
                result = json.loads(line)["result"]
                if result.get("canceled"):
                    raise OSError(f"the witness came too late: {result}")
                revisions: dict[int, list[RawChange]] = {}
                for event in result.get("events", []):
                    item = event["kv"]
                    deleted = event.get("type") == "DELETE"
                    value = None if deleted else base64.b64decode(item.get("value", ""))
                    lease = int(item.get("lease", "0"))
                    change = RawChange(base64.b64decode(item["key"]), value, lease)
                    revisions.setdefault(int(item["mod_revision"]), []).append(change)
                yield from revisions.items()
        finally:
            connection.close()


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
