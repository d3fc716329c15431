"""The context: all facts and members of a stack in one document, at one revision."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.member import Member
from factstore.core.model.path import check_name, check_stack_name, quoted
from factstore.core.model.permissions import CONFIGS, OWNER, Permissions
from factstore.core.model.value import encode
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.blocking_query import BlockingQuery
from factstore.core.services.debounce import AT_ONCE, Debounce, Debouncer
from factstore.core.state.state import State

RESULTS = "results/"
NODES = "nodes"
"""The folder below which each member has a folder of its own facts, named after it."""
_CACHED = 256  # rendered stacks
_CACHED_VIEWS = 4096  # etags of members' views
_CACHED_LENGTH = 256 * 1024  # characters

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Context:
    """A compiled context.

    :param text: JSON without revisions or times, so that equal facts make equal texts.
    :param etag: a hash of the text, without quotes.
    :param cursor: the revision of the context; a watch from it receives every later event.
    :param target: the revision that members have to apply.
    """

    text: str
    etag: str
    cursor: Cursor
    target: int


class _View(NamedTuple):
    """The parts of a stack that a caller requests and may read."""

    results: bool
    member: str
    permissions: Permissions

    def shows(self, path: str) -> bool:
        """Return True if the document contains a fact."""
        return (self.results or not path.startswith(RESULTS)) and self.permissions.can_read(path)

    def cache_key(self, facts: Sequence[Fact]) -> str:
        """Return the member that the document is specific to; empty if it is the same for all callers.

        :param facts: all facts of the stack, ordered by path.
        """
        if self.permissions.unrestricted:
            return ""
        first = bisect_left(facts, CONFIGS, key=_path_of)
        hides = first < len(facts) and facts[first].path.startswith(CONFIGS)
        return f"/{self.permissions.member or ''}" if hides else ""


def _path_of(fact: Fact) -> str:
    return fact.path


class ContextService:
    """The service for contexts.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, events: EventSource, clock: Clock, timeout: float) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._timeout = timeout
        self._lock = threading.Lock()
        self._compiled: dict[tuple[str, bool, str], tuple[int, Rendered]] = {}
        self._tags: dict[tuple[str, bool, str, str], tuple[int, str]] = {}

    def get(
        self,
        scope: Scope,
        *,
        results: bool = False,
        member: str = "",
        wait: float = 0,
        unless: Collection[str] | None = None,
        settle: Debounce = AT_ONCE,
        stale: bool = False,
        permissions: Permissions = OWNER,
    ) -> Context:
        """Return a stack's context; wait for it.

        :param results: include the facts below ``results/``.
        :param member: the living member to which the view belongs; empty for a view of no member.
        :param wait: seconds to block while the stack or the member is missing; with *unless*, seconds
            to block while the etag is one of *unless*.
        :param settle: after a change, wait further until the stack is quiet.  A settled reader reports
            the revision that it has applied, so it also gets a response if a change was undone.
        :param permissions: of the caller; facts that it may not read are left out.
        :return: the context; after *wait* seconds its etag may still be one of *unless*.
        :raises NotFound: the stack or the member does not exist; at once with *unless*.
        """
        check_stack_name(scope.stack)
        if member:
            check_name(member, "member")
        end = self._clock.monotonic() + wait
        view = _View(results, member, permissions)
        context, target = None, None
        settles = settle.quiet > 0 and unless is not None  # a first context is returned at once
        query = BlockingQuery(self._store, self._events, self._clock, scope, timeout=self._timeout)
        for state in query.states(wait, stale=stale):
            context = self._compile(state, scope, view, unless or ())
            if context is None and unless is not None:
                break
            # If the target moved and the text is the same, a change was undone.
            moved = settles and context is not None and target not in (None, context.target)
            changed = context is not None and (moved or context.etag not in (unless or ()))
            if changed and settles:
                state = self._settled(query, state, scope, Debouncer(settle, end))
                context = self._compile(state, scope, view, unless or ())
                if context is None and unless is not None:
                    break
            if context is not None and (moved or context.etag not in (unless or ())):
                return context
            target = context.target if context is not None else None
            settles = settle.quiet > 0
        if context is None:
            missing = f"no member {quoted(member)} in a stack" if member else "no stack"
            raise NotFound(f"there is {missing} named {quoted(scope.stack)}.")
        return context

    def _settled(
        self, query: BlockingQuery, state: State, scope: Scope, debouncer: Debouncer
    ) -> State:
        """Return the state once the stack has been quiet or was deleted."""
        debouncer.touch(self._clock.monotonic())
        while (deadline := debouncer.deadline) is not None and state.stack(scope) is not None:
            later = query.next(state.revision, deadline)
            if later is None:
                break
            state, changed = later
            if changed:
                debouncer.touch(self._clock.monotonic())
        return state

    def _compile(
        self, state: State, scope: Scope, view: _View, known: Collection[str]
    ) -> Context | None:
        """Return the context, without its text if its etag is in *known*; None if it does not exist."""
        epoch = self._store.epoch
        with state.read():
            contents = state.contents(scope)
            if contents is None:
                return None
        member = view.member
        key = (contents.stack.id, view.results, view.cache_key(contents.facts))
        cursor, target = Cursor(epoch, contents.revision), contents.target
        if member:
            if not any(each.name == member for each in contents.members):
                return None
            changed, tag = self._tags.get((*key, member), (0, ""))
            if changed == contents.changed and tag in known:
                return Context("", tag, cursor, target)
        changed, rendered = self._compiled.get(key, (0, None))
        if rendered is None or changed != contents.changed:
            facts = [fact for fact in contents.facts if view.shows(fact.path)]
            tags = (
                {f.path: f.etag(epoch) for f in facts if f.sensitive} if contents.sensitive else {}
            )
            rendered = Rendered(scope.stack, facts, contents.members, tags)
            if len(rendered.text) <= _CACHED_LENGTH:  # bounds the memory of the cache
                self._cache(self._compiled, key, (contents.changed, rendered), _CACHED)
        if not member:
            return Context(rendered.text, rendered.etag, cursor, target)
        text = rendered.seen_by(member)
        tag = etag_of(text)
        self._cache(self._tags, (*key, member), (contents.changed, tag), _CACHED_VIEWS)
        return Context(text, tag, cursor, target)

    def _cache(self, cache: dict[K, V], key: K, value: V, limit: int) -> None:
        """Store a value in a cache, and delete the oldest ones beyond its limit."""
        with self._lock:
            cache.pop(key, None)
            while len(cache) >= limit:
                del cache[next(iter(cache))]
            cache[key] = value


class Rendered:
    """The document of a stack, from which those of its members are assembled.

    :param tags: the entity tags of sensitive facts by path.  The document does not contain their
        values; the tags make it change with them.
    :ivar text: the JSON without the view of a member.
    """

    def __init__(
        self,
        stack: str,
        facts: Sequence[Fact],
        members: Sequence[Member],
        tags: Mapping[str, str] = {},
    ) -> None:
        tree = _tree(facts)
        sensitive = f',"sensitive":{encode(dict(tags))}' if tags else ""
        self.text = (
            f'{{"stack":{encode(stack)},"facts":{_nested(tree)},'
            f'"members":{_object((m.name, "{" + _about(m) + "}") for m in members)}{sensitive}}}'
        )
        self.etag = etag_of(self.text)
        self._members = members
        self._own = tree.get(NODES)
        self._groups: dict[str, dict[str, str]] | None = None

    def seen_by(self, name: str) -> str:
        """Return the document with ``self`` and ``peers`` of a living member."""
        (own,) = [member for member in self._members if member.name == name]
        groups = self._groups
        if groups is None:
            groups = {}
            for member in self._members:
                groups.setdefault(member.group, {})[member.name] = self._peer(member)
            self._groups = groups  # assigned when complete: several threads may read it
        peers = (
            (group, _object((each, text) for each, text in texts.items() if each != name))
            for group, texts in sorted(groups.items())
            if texts.keys() != {name}
        )
        self_text = (
            f'{{"name":{encode(name)},"group":{encode(own.group)},{groups[own.group][name][1:]}'
        )
        return f'{self.text[:-1]},"self":{self_text},"peers":{_object(peers)}}}'

    def _peer(self, member: Member) -> str:
        folder = self._own.get(member.name) if isinstance(self._own, dict) else None
        facts = _nested(folder) if isinstance(folder, dict) else "{}"
        return f'{{"state":"{member.state}","attributes":{member.attributes},"facts":{facts}}}'


def etag_of(text: str) -> str:
    """Return the entity tag of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def render(stack: str, facts: Sequence[Fact], members: Sequence[Member] = ()) -> str:
    """Return the context document as JSON.

    :param facts: ordered by path.
    :param members: the living members, ordered by name.
    """
    return Rendered(stack, facts, members).text


def _tree(facts: Sequence[Fact]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for fact in facts:
        *folders, name = fact.path.split("/")
        folder = tree
        for segment in folders:
            folder = folder.setdefault(segment, {})  # type: ignore[assignment]
        folder[name] = fact
    return tree


def _nested(tree: dict[str, object]) -> str:
    return _object(
        (name, child.text if isinstance(child, Fact) else _nested(child))  # type: ignore[arg-type]
        for name, child in tree.items()
    )


def _about(member: Member) -> str:
    """Return a member's JSON members, without revisions and times."""
    return (
        f'"group":{encode(member.group)},"state":"{member.state}","attributes":{member.attributes}'
    )


def _object(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{encode(name)}:{text}" for name, text in members) + "}"
