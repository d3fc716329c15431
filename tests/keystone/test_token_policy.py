"""Every operation as every persona, with real tokens: the table is in ``policy_table``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest
import requests

from factstore.api import docs_ui
from tests.cases import cases
from tests.http import Caller, fresh_stack
from tests.keystone.policy_kinds import (
    PERSONAS,
    STRANGERS,
    UNIDENTIFIED,
    Row,
    Tokens,
)
from tests.keystone.policy_requests import Listener, act, call, check, contents, records_for
from tests.keystone.policy_stacks import (
    CHALLENGE,
    fill,
    issue,
    put_all,
    remove,
)
from tests.keystone.policy_table import (
    LISTENER,
    SUBSCRIPTIONS,
)
from tests.keystone.policy_table import TOKEN_ROWS as ROWS
from tests.structure.application import mounted, operations

READS = [row for row in ROWS if row.method == "GET"]
"""One stack serves them all."""

WRITES = [row for row in ROWS if row not in READS]
rows_of_stacks = pytest.mark.parametrize(
    "row", [row for row in ROWS if "{stack}" in row.template], ids=str
)


NO_GRANT = f"{'0' * 32}-{'0' * 16}"


@dataclass(frozen=True)
class Shared:
    """A filled stack of the owner's that no test changes."""

    name: str
    grant: str
    action: str
    listener: Listener


@pytest.fixture(scope="module")
def shared(callers: dict[str, Caller]) -> Iterator[Shared]:
    """One stack for all tests that leave it as it is, which is checked at the end."""
    owner, name = callers["owner"], fresh_stack()
    grant = fill(owner, name)
    made = Shared(name, grant, act(owner, name), listen(owner))
    before = contents(owner, name)
    yield made
    assert contents(owner, name) == before
    remove_subscriptions(owner)
    remove(callers, name)


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    shown = {("GET", path) for path in docs_ui.PATHS}
    assert {row.operation for row in ROWS} == operations() | mounted() | shown


def test_no_row_of_the_table_is_a_duplicate() -> None:
    assert len({str(row) for row in ROWS}) == len(ROWS)
    assert {len(kind.value) for kind in Tokens} == {len(PERSONAS)}


@pytest.mark.parametrize("row", READS, ids=str)
def test_each_persona_who_reads_is_answered_as_the_table_says(
    callers: dict[str, Caller], project: str, shared: Shared, row: Row
) -> None:
    made: dict[str, Any] = {"listener": shared.listener, "action": shared.action}
    with cases() as case:
        for persona in PERSONAS:
            with case(persona):
                answer = call(callers[persona], row, shared.name, project, shared.grant, **made)
                check(answer, row.answer_to_persona(persona), CHALLENGE)
                if row.tokens is not Tokens.PUBLIC and persona != "restricted":
                    head = call(
                        callers[persona],
                        row,
                        shared.name,
                        project,
                        shared.grant,
                        method="HEAD",
                        **made,
                    )
                    assert head.status_code == answer.status_code


@pytest.mark.parametrize("row", WRITES, ids=str)
def test_each_persona_who_writes_is_answered_as_the_table_says(
    callers: dict[str, Caller], project: str, shared: Shared, row: Row
) -> None:
    """Only the owner changes anything of the owner's, of a stack that is filled for that."""
    made: dict[str, Any] = {"listener": shared.listener, "action": shared.action}
    with cases() as case:
        for persona in PERSONAS:
            if persona == "owner":
                continue
            with case(persona):
                try:
                    answer = call(callers[persona], row, shared.name, project, shared.grant, **made)
                    check(answer, row.answer_to_persona(persona), CHALLENGE)
                finally:
                    if row.tokens is Tokens.WRITE and persona in STRANGERS:
                        callers[persona].delete(f"/v1/stacks/{shared.name}")
        with case("owner"):
            own(callers["owner"], row, project, shared)


def own(owner: Caller, row: Row, project: str, shared: Shared) -> None:
    """Carry out a row's operation as the owner, with what it needs."""
    name, grant = fresh_stack(), NO_GRANT
    made: dict[str, Any] = {}
    if "{stack}" in row.template:
        put_all(owner, name, records_for(row))
    if "{grant}" in row.template:
        grant = issue(owner, name)
    if "{action}" in row.template:
        made["action"] = act(owner, name)
    if "{subscription}" in row.template:
        made["listener"] = listen(owner)
    answer = call(owner, row, name, project, grant, **made)
    check(answer, row.answer_to_persona("owner"), CHALLENGE)
    if "{stack}" in row.template:
        owner.delete(f"/v1/stacks/{name}")
    elif "subscription" in row.template:
        remove_subscriptions(owner, shared.listener.id)


def remove_subscriptions(owner: Caller, *kept: str) -> None:
    """Delete the subscriptions of a project, except for some."""
    for made in owner.get(SUBSCRIPTIONS).json()["subscriptions"]:
        if made["id"] not in kept:
            owner.delete(f"{SUBSCRIPTIONS}/{made['id']}").raise_for_status()


def listen(owner: Caller) -> Listener:
    """Create a subscription."""
    made = owner.post(SUBSCRIPTIONS, json=LISTENER)
    made.raise_for_status()
    return Listener(made.json()["id"], made.headers["Factstore-Cursor"])


MOVING = [
    (r'"(id|etag|revision|project_id|generation|plan)":("[^"]*"|\d+)', r'"\1":_'),
    (
        r'"(secret|token)":"[\w.-]+"',
        r'"\1":_',
    ),  # first, because secrets may contain the patterns below
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
    (r"[0-9a-f]{16}\.\d+", "CURSOR"),
    (r'"[0-9a-f]{32}"', '"TAG"'),
    (r"[0-9a-f]{32}-[0-9a-f]{16}(\.[\w-]+)?", "GRANT"),
    (r"req-[0-9a-f-]{36}", "REQUEST"),
]


def seen(answer: requests.Response, stack: str) -> tuple[int, dict[str, str], str]:
    """Return a whole response, without names and without values that differ between requests."""

    def settled(text: str) -> str:
        text = text.replace(stack, "STACK")
        for pattern, name in MOVING:
            text = re.sub(pattern, name, text)
        return text

    # A revision may have grown by a digit; in a refusal nothing may grow.
    moving = (
        {"date"} if answer.status_code >= HTTPStatus.BAD_REQUEST else {"date", "content-length"}
    )
    headers = {
        name: settled(value) for name, value in answer.headers.items() if name.lower() not in moving
    }
    return answer.status_code, headers, settled(answer.text)


@rows_of_stacks
def test_a_stack_of_others_looks_as_if_it_did_not_exist(
    callers: dict[str, Caller], project: str, shared: Shared, row: Row
) -> None:
    missing = fresh_stack()
    with cases() as case:
        for persona in (*UNIDENTIFIED[:2], *STRANGERS):
            with case(persona):
                theirs, nobodys = (
                    seen(call(callers[persona], row, name, project, shared.grant), name)
                    for name in (shared.name, missing)
                )
                assert theirs == nobodys
            if row.tokens is Tokens.WRITE and persona in STRANGERS:
                for name in (shared.name, missing):
                    callers[persona].delete(f"/v1/stacks/{name}")


def test_a_fact_of_others_looks_as_if_it_did_not_exist(
    callers: dict[str, Caller], project: str, owned: str
) -> None:
    """Even if the caller's own project has stacks of these names."""
    owner, outsider, other = callers["owner"], callers["outsider"], fresh_stack()
    owner.put(f"/v1/stacks/{other}/facts/b", 1).raise_for_status()
    with cases() as case:
        for row in (row for row in ROWS if "{path}" in row.template):
            for name in (owned, other):
                outsider.put(f"/v1/stacks/{name}/facts/mine", 1).raise_for_status()
            with case(row):
                theirs, nobodys = (
                    seen(call(outsider, row, name, project, NO_GRANT), name)
                    for name in (owned, other)
                )
                assert theirs == nobodys
            for name in (owned, other):
                outsider.delete(f"/v1/stacks/{name}").raise_for_status()
    remove(callers, other)
