"""Values that a stack keeps, after all recent events are gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.client import NotFound, NotReverted, Stack, connect
from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.http import fresh_stack
from tests.service import ApiServer, check_log

FEW = 2


@pytest.fixture
def stack(etcd: EtcdServer, tmp_path: Path) -> Iterator[Stack]:
    """A stack that keeps values, in a service with few recent events."""
    options = {"watch": {"history_events": FEW}}
    with ApiServer([etcd.endpoint], tmp_path / "api", options=options) as server:
        made = connect({"OS_ENDPOINT": server.url, "OS_AUTH_TYPE": "none"}).stack(fresh_stack())
        made.configure(keep_values=3)
        yield made
        check_log(server)


def forget(stack: Stack) -> None:
    """Write until the recent events contain nothing of before."""
    for number in range(FEW + 2):
        stack.put("noise", number)


def is_absent(stack: Stack, path: str) -> bool:
    try:
        stack.get(path)
    except NotFound:
        return True
    return False


def test_a_fact_is_reverted_to_its_kept_values(stack: Stack) -> None:
    for number in range(3):
        stack.put("a", number, kind="parameter")
    forget(stack)
    oldest = list(stack.history("a"))[-1]
    assert stack.revert("a").value == 1
    forget(stack)
    found = stack.revert("a", oldest.cursor)
    assert (found.value, found.kind) == (0, "parameter")
    stack.delete("a")
    forget(stack)
    assert stack.revert("a").value == 0
    assert stack.get("a").value == 0


def test_a_kept_value_that_was_replaced_by_one_that_expired_is_set_by_its_cursor(
    stack: Stack,
) -> None:
    stack.put("a", "first")
    stack.put("a", "kept")
    stack.put("a", "brief", ttl=5)
    eventually(lambda: is_absent(stack, "a"), 60)
    forget(stack)
    end, cursor, older = stack.history("a")
    assert [each.is_known for each in (end, cursor, older)] == [False, True, True]
    later = stack.context().cursor
    for to in (None, end.cursor, later):
        with pytest.raises(
            NotReverted, match=f"not kept.*value before it is that of {cursor.cursor}"
        ):
            stack.revert("a", to)
    assert is_absent(stack, "a")
    assert stack.revert("a", cursor.cursor).value == "kept"
    assert stack.revert("a", older.cursor).value == "first"


def test_a_cursor_between_two_kept_values_gets_the_value_that_the_fact_had_then(
    stack: Stack,
) -> None:
    stack.put("a", "first")
    between = stack.context().cursor
    brief = stack.put("a", "brief", ttl=600)
    within = stack.context().cursor
    stack.put("a", "second")
    stack.put("a", "third")
    forget(stack)
    known = list(stack.history("a"))
    assert [each.fact and each.fact.value for each in known] == ["third", "second", None, "first"]
    assert known[2].cursor.endswith(f".{brief.revision}")
    for to in (known[2].cursor, within):
        with pytest.raises(NotReverted, match=f"was not kept.*is that of {known[3].cursor}"):
            stack.revert("a", to)
    assert stack.revert("a", between).value == "first"
    stack.put("a", "fourth", ttl=600)
    stack.put("a", "fifth")
    forget(stack)
    with pytest.raises(NotReverted, match="was not kept"):
        stack.revert("a")
    assert stack.get("a").value == "fifth"
