"""Requests of the policy's table, and checks of their answers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import requests

from tests.http import JSON, Caller, refused
from tests.keystone.policy_kinds import Row
from tests.keystone.policy_table import ACTION_OF_A, CURSOR, NAMES, RECORDS


class Listener(NamedTuple):
    """The id of a subscription, and a cursor of its store."""

    id: str = NAMES["subscription"]
    cursor: str = CURSOR


def call(
    caller: Caller,
    row: Row,
    stack: str,
    project: str,
    grant: str,
    *,
    method: str = "",
    headers: dict[str, str] | None = None,
    listener: Listener = Listener(),  # noqa: B008 - it is immutable
    action: str = NAMES["action"],
) -> requests.Response:
    """Carry out a row's operation on a stack."""
    names = {**NAMES, "path": row.path, "member": row.member}
    names |= {"stack": stack, "grant": grant, "project": project}
    names |= {"subscription": listener.id, "action": action}
    body = json.loads(json.dumps(row.body).replace(CURSOR, listener.cursor))
    more = {} if row.body is None else {"json": body}
    target = (row.template + row.query).format_map(names)
    return caller(method or row.method, target, headers=headers, **more)


def act(owner: Caller, stack: str) -> str:
    """Create an action for member ``a``; return its id."""
    made = owner.post(f"/v1/stacks/{stack}/actions", json=ACTION_OF_A)
    made.raise_for_status()
    action: str = made.json()["id"]
    return action


def check(answer: requests.Response, expected: str, challenge: str) -> None:
    """The answer is as the table says, to the last header of a refusal."""
    status, _, code = expected.partition(" ")
    assert answer.status_code == int(status), answer.text
    if not code:
        return
    if answer.request.method == "HEAD":
        assert answer.headers["Content-Type"] == JSON
        assert not answer.content
    else:
        refused(answer, expected)
    assert ("WWW-Authenticate" in answer.headers) == (code == "unauthorized")
    if code == "unauthorized":
        assert answer.headers["WWW-Authenticate"].startswith(challenge)


def contents(owner: Caller, stack: str) -> list[Any]:
    """Return the contents of a stack."""
    kinds = ("facts", "members", "grants", "actions", *(path.partition("/")[0] for path in RECORDS))
    return [owner.get(f"/v1/stacks/{stack}/{kind}").json()[kind] for kind in kinds]


def records_for(row: Row) -> dict[str, Any]:
    """Return those of the records that a row's operation may be about."""
    return {path: body for path, body in RECORDS.items() if path.partition("/")[0] in row.template}
