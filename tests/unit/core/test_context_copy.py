"""A client's copy of a context, which follows by deltas, is the document of the service."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from factstore.client.context_copy import ContextCopy
from factstore.core.model.event import DropFact, DropRecord, Mutation, PutFact, PutRecord
from factstore.core.model.member import Member
from factstore.core.model.permissions import Permissions
from factstore.core.model.record import RecordKey
from factstore.core.services.compiled_context import Context
from factstore.core.services.context import WHOLE
from factstore.core.services.context_delta import ContextDelta
from factstore.core.services.context_view import ContextView
from factstore.core.state import context_checksum
from tests.unit.core.factories import SCOPE, fact
from tests.unit.core.test_context_views import member
from tests.unit.core.timeline import Timeline

AGENT = Permissions("agent", member="c1", grant="g")
READER = Permissions("reader", grant="g")
VIEWS = (
    WHOLE,
    ContextView(results=True),
    ContextView(permissions=AGENT),
    ContextView(permissions=READER),
)

names = st.sampled_from(["a", "a-b", "a.b", "b", "c1", "nodes", "configs", "results"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
scalars = st.sampled_from([None, True, 0, 1.0, 1e300, "", '\u20ac\n"\\', [], [{"b": 1}], 2**53 + 1])
values = st.recursive(
    scalars,
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c1", "\u00e9 /"]), inner, max_size=3),
    max_leaves=4,
)
puts = st.tuples(paths, values, st.booleans())
drops = st.tuples(st.just("drop"), st.integers(0, 9))
two = st.sampled_from(["c1", "c2"])
joins = st.tuples(st.just("join"), two, st.sampled_from(["ready", "draining"]))
leaves = st.tuples(st.just("leave"), two, st.booleans())
revisions = st.lists(puts | drops | joins | leaves, min_size=1, max_size=4)


@dataclass
class Writer:
    """Applies random changes to a stack, as long as a path is either a fact or a folder."""

    line: Timeline
    paths: list[str] = field(default_factory=list)
    members: set[str] = field(default_factory=set)

    def write(self, changes: list[Any]) -> None:
        """Make all changes in one revision."""
        revision = self.line.revision + 1
        self.line.step(*[m for change in changes if (m := self._mutation(change, revision))])

    def _mutation(self, change: Any, revision: int) -> Mutation | None:
        match change:
            case "drop", int(at):
                if not self.paths:
                    return None
                return DropFact("s1", self.paths.pop(at % len(self.paths)))
            case "join", str(name), str(state):
                self.members.add(name)
                return PutRecord("s1", member(name, state=state, revision=revision))
            case "leave", str(name), bool(departs):
                if name not in self.members:
                    return None
                self.members.discard(name)
                if departs:
                    return PutRecord("s1", member(name, state="departed", revision=revision))
                return DropRecord("s1", RecordKey(Member, name))
            case path, value, sensitive:
                if any(_one_below_the_other(path, other) for other in self.paths):
                    return None
                self.paths = sorted({*self.paths, path})
                made = fact(path, None if sensitive else value, revision)
                return PutFact("s1", replace(made, sealed="1.x") if sensitive else made)


def _one_below_the_other(path: str, other: str) -> bool:
    return path.startswith(f"{other}/") or other.startswith(f"{path}/")


def copy_of(context: Context) -> ContextCopy:
    copy = ContextCopy(json.loads(context.text))
    assert copy.checksum == context.checksum
    return copy


def same(document: dict[str, Any], text: str) -> bool:
    """Compare as texts, because templates iterate over objects in their order."""
    return json.dumps(document) == json.dumps(json.loads(text))


@given(st.lists(revisions, max_size=12), st.data())
def test_a_copy_is_the_document_after_any_changes(
    changes: list[list[Any]], data: st.DataObject
) -> None:
    # A reader that has not been drawn for some time finds a checksum that was not kept up to date.
    spare = data.draw(st.sampled_from([0, 2, context_checksum.SPARE_CHANGES]))
    with patch.object(context_checksum, "SPARE_CHANGES", spare):
        follow_changes(changes, data)


def follow_changes(changes: list[list[Any]], data: st.DataObject) -> None:
    line = Timeline()
    writer = Writer(line)
    copies = {}
    for view in VIEWS:
        first = line.contexts.get(SCOPE, view)
        copies[view] = copy_of(first), first.cursor
    for change in changes:
        writer.write(change)
        for view in data.draw(st.sets(st.sampled_from(VIEWS))):
            copy, cursor = copies[view]
            delta = line.contexts.since(SCOPE, cursor, view)
            assert isinstance(delta, ContextDelta)  # none of them is larger than a kilobyte
            copy.apply(json.loads(delta.text))
            whole = line.contexts.get(SCOPE, view)
            assert copy.checksum == delta.checksum == whole.checksum
            document = copy.document(None, ())
            assert same(document, whole.text)
            assert ContextCopy(document).checksum == copy.checksum
            for name in writer.members:
                seen = line.contexts.get(SCOPE, replace(view, member=name))
                assert same(copy.document(name, ("self", "peers")), seen.text)
            copies[view] = copy, delta.cursor


def test_documents_do_not_change_with_the_copy() -> None:
    copy = ContextCopy({"stack": "s", "facts": {"a": {"b": 1, "c": 2}}, "members": {}})
    before = copy.document(None, ())
    none: dict[str, Any] = {"members": {}, "departed": [], "sensitive": {}}
    copy.apply({"facts": {"a/b": 3}, "deleted": ["a/c"], **none})
    assert before["facts"] == {"a": {"b": 1, "c": 2}}
    assert copy.document(None, ())["facts"] == {"a": {"b": 3}}
