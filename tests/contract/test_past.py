"""Stacks at earlier cursors, on every backend."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator

import pytest

from factstore.core.errors import CursorExpired, FactstoreError, Invalid, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.permissions import Permissions
from factstore.core.services.compiled_context import Context
from factstore.core.services.context_view import ContextView
from tests.contract.world import Worker, World, author, soon

ALL = ContextView(results=True)


def make_change(worker: Worker, scope: Scope, chosen: random.Random) -> None:
    """Make a random change of a fact or a member; some change nothing."""
    path, name = chosen.choice(["a", "b/c", "b-c", "results/x"]), chosen.choice(["m", "n"])
    match chosen.randrange(8):
        case 0 | 1:
            worker.delete(scope, path)
        case 2:
            request = JoinRequest.of("g", attributes={"n": chosen.randrange(3)})
            worker.members.join(scope, name, request, author())
        case 3:
            request = JoinRequest.of("h", declared="resource")
            worker.members.join(scope, name, request, author())
        case 4:
            worker.members.depart(scope, name, "left", None, author())
        case 5:
            worker.put(scope, f"nodes/{name}", chosen.randrange(9), member=name)
        case _:
            worker.put(scope, path, chosen.randrange(4))


def taken(worker: Worker, scope: Scope, count: int) -> Iterator[Context]:
    """Yield the contexts after random changes."""
    chosen = random.Random(11)
    for _ in range(count):
        with contextlib.suppress(FactstoreError):  # there is nothing to delete, for example
            make_change(worker, scope, chosen)
        yield worker.context.get(scope, ALL)


def patched(context: Context, worker: Worker, scope: Scope, until: Cursor) -> dict[str, object]:
    """Return the values and members of a later context: an earlier one with the differences."""
    document = json.loads(context.text)
    facts, members = flat(document["facts"]), document["members"]
    found = worker.services.past.differences(scope, context.cursor, until)
    for fact in found.facts:
        assert facts.pop(fact.name, None) == (json.loads(fact.before.text) if fact.before else None)
        if fact.after:
            facts[fact.name] = json.loads(fact.after.text)
    for member in found.members:
        assert (members.pop(member.name, None) is None) == (member.before is None)
        if member.after:
            group, state = member.after.group, member.after.state
            attributes = json.loads(member.after.attributes)
            members[member.name] = {"group": group, "state": state, "attributes": attributes}
    return {"facts": facts, "members": members}


def flat(folder: dict[str, object], above: str = "") -> dict[str, object]:
    """Return values by path."""
    found: dict[str, object] = {}
    for name, child in folder.items():
        if isinstance(child, dict):
            found |= flat(child, f"{above}{name}/")
        else:
            found[f"{above}{name}"] = child
    return found


def test_contexts_at_cursors_are_those_that_were_read_then(world: World, scope: Scope) -> None:
    """The second worker has forgotten the events, and reads the history of the database."""
    first, second = world.worker(), world.worker(history=3)
    first.put(scope, "a", 0)
    contexts = list(taken(first, scope, 90))
    for index, then in enumerate(contexts):
        for worker in (first, second):
            found = worker.services.past.context(scope, then.cursor, ALL)
            assert (found.text, found.etag, found.checksum, found.cursor) == (
                then.text,
                then.etag,
                then.checksum,
                then.cursor,
            )
        later = contexts[(index * 7) % 90]
        if later.cursor.revision >= then.cursor.revision:
            document = json.loads(later.text)
            expected = {"facts": flat(document["facts"]), "members": document["members"]}
            assert patched(then, first, scope, later.cursor) == expected
            assert patched(then, second, scope, later.cursor) == expected


def test_a_cursor_whose_history_was_compacted_has_expired(world: World, scope: Scope) -> None:
    worker = world.worker(history=3)
    past = worker.services.past
    begin = Cursor(worker.store.state().epoch, worker.put(scope, "a", 0).revision)
    for n in range(1, 9):
        last = Cursor(worker.store.state().epoch, worker.put(scope, "a", n).revision)
    assert [each.before.text for each in past.differences(scope, begin).facts if each.before] == [
        "0"
    ]
    worker.backend.compact(last.revision - 1, soon())
    with pytest.raises(CursorExpired, match="not known any more; those since"):
        past.context(scope, begin, ALL)
    with pytest.raises(CursorExpired, match="not known any more; those since"):
        past.differences(scope, begin)
    assert past.context(scope, last, ALL).text == worker.context.get(scope, ALL).text


def test_cursors_that_the_stack_never_had_are_refused(worker: Worker, scope: Scope) -> None:
    past, epoch = worker.services.past, worker.store.state().epoch
    first = worker.put(scope, "a", 0).revision
    worker.stacks.delete(scope, author())
    with pytest.raises(NotFound, match="no stack named"):
        past.context(scope, Cursor(epoch, first), ALL)
    second = worker.put(scope, "a", 1).revision
    with pytest.raises(NotFound, match=rf"did not exist at .*; it was created at .*\.{second}"):
        past.context(scope, Cursor(epoch, first), ALL)
    with pytest.raises(CursorExpired, match="never reached"):
        past.differences(scope, Cursor(epoch, second + 1000))
    with pytest.raises(CursorExpired, match="another epoch"):
        past.differences(scope, Cursor("0123456789abcdef", second))
    with pytest.raises(NotFound, match="no member 'm' at"):
        past.context(scope, Cursor(epoch, second), ContextView(member="m"))
    third = worker.put(scope, "a", 2).revision
    with pytest.raises(Invalid, match="Exchange them"):
        past.differences(scope, Cursor(epoch, third), Cursor(epoch, second))


def test_differences_are_those_that_a_reader_could_see(worker: Worker, scope: Scope) -> None:
    past, epoch = worker.services.past, worker.store.state().epoch
    since = Cursor(epoch, worker.put(scope, "a", 0).revision)
    worker.put(scope, "a", 1)
    worker.put(scope, "a", 0)
    worker.put(scope, "configs/m/x", 1)
    worker.put(scope, "configs/n/x", 1)
    assert [each.name for each in past.differences(scope, since).facts] == [
        "configs/m/x",
        "configs/n/x",
    ]
    for permissions in (Permissions("agent", "m", "g", "1"), Permissions("reader", "m")):
        found = past.differences(scope, since, permissions=permissions)
        assert [each.name for each in found.facts] == ["configs/m/x"]
    assert past.differences(scope, since, since).facts == ()


def test_a_difference_up_to_a_cursor_before_the_recent_events_needs_the_other_cursor(
    world: World, scope: Scope
) -> None:
    worker = world.worker(history=2)
    past, epoch = worker.services.past, worker.store.state().epoch
    first, second, *_ = (worker.put(scope, "a", number).revision for number in range(8))
    until = Cursor(epoch, second)
    with pytest.raises(Invalid, match=r"^The parameter until is older than .* Give since"):
        past.differences(scope, until=until)
    found = past.differences(scope, Cursor(epoch, first), until)
    (fact,) = found.facts
    assert fact.before is not None
    assert fact.after is not None
    assert (fact.before.text, fact.after.text) == ("0", "1")
