"""The past of the facts of one stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from factstore.client import urls
from factstore.client.errors import FactstoreError
from factstore.client.facts import Facts
from factstore.client.query import BOTH, context_params, query_params
from factstore.client.records import Context, Fact
from factstore.client.transport import parsed

if TYPE_CHECKING:
    from typing import Self

_AT_ONCE = 100


class NotReverted(FactstoreError):
    """A fact has no earlier value that can be put again; the text says why."""


@dataclass(frozen=True)
class PastChange:
    """A change of a fact.

    :param cursor: the revision of the change.
    :param type: ``fact.put``, ``fact.delete`` or ``fact.expire``.
    :param fact: the fact after the change; None if it was deleted or has expired, and for the
        ``fact.put`` of a value that the stack did not keep.
    :param by: the id of the user who made the change; None for an expiry, and for such a value.
    :param request_id: None for an expiry, and for a change before the recent events.
    """

    cursor: str
    type: str
    fact: Fact | None
    by: str | None
    request_id: str | None

    @property
    def is_known(self) -> bool:
        """False if the fact got a value that the stack did not keep."""
        return self.fact is not None or self.type != "fact.put"

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the change in a document."""
        fact = document["fact"]
        return cls(
            cursor=document["cursor"],
            type=document["type"],
            fact=Fact.parse(fact) if fact is not None else None,
            by=document["by"],
            request_id=document["request_id"],
        )


@dataclass(frozen=True)
class FactDifference:
    """A fact at two cursors.

    :param before: None if it did not exist at the first one.
    :param after: None if it did not exist at the second one.
    """

    path: str
    before: Fact | None
    after: Fact | None


@dataclass(frozen=True)
class MemberDifference:
    """A member at two cursors.

    :param before: ``group``, ``state`` and ``attributes``; None if it was not there.
    :param after: the same, at the second cursor.
    """

    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class Diff:
    """The facts and members of a stack that are not the same at two cursors."""

    since: str
    until: str
    facts: tuple[FactDifference, ...]
    members: tuple[MemberDifference, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the differences in a document."""
        facts = (
            FactDifference(
                each["path"], *(Fact.parse(fact) if fact else None for fact in _pair(each))
            )
            for each in document["facts"]
        )
        members = (MemberDifference(each["name"], *_pair(each)) for each in document["members"])
        return cls(document["since"], document["until"], tuple(facts), tuple(members))


def _pair(document: Mapping[str, Any]) -> tuple[Any, Any]:
    return document["before"], document["after"]


class PastFacts(Facts):
    """Operations on the past of a stack; a base of :class:`~factstore.client.stack.Stack`."""

    def diff(self, since: str | None = None, until: str | None = None) -> Diff:
        """Return the facts and members that are not the same at two cursors.

        :param since: None for the oldest cursor from which the service knows all changes.
        :param until: None for the present.
        :raises NotFound: the stack does not exist, or did not exist at one of the cursors.
        :raises Gone: the contents at *since* are not known any more.
        """
        params = query_params(since=since, until=until)
        response = self._transport.send("GET", f"{self._url}/diff", params=params)
        return parsed(response, Diff.parse)

    def context_at(
        self, cursor: str, *, member: str | None = None, view: str = BOTH, results: bool = False
    ) -> Context:
        """Read the context that the stack had at a cursor.

        The parameters not listed are those of :meth:`context`.

        :raises NotFound: the stack does not exist, or it or the member did not exist then.
        :raises Gone: the context at this cursor is not known any more.
        """
        params = {"at": cursor, **context_params(member, view, results=results)}
        response = self._transport.send("GET", f"{self._url}/context", params=params)
        return parsed(response, lambda found: Context.parse(found, response.headers))

    def history(self, path: str, *, before: str | None = None) -> Iterator[PastChange]:
        """Iterate over the recent changes of a fact, the newest first.

        The service keeps as many recent events as its operator has set.  The last change is the one
        that made the oldest known value.  If the stack keeps values, those before follow; one that was
        not kept is a change whose :attr:`PastChange.is_known` is False.

        :param before: return only changes before this cursor.
        :raises NotFound: there is neither the fact nor a recent change of it.
        """
        url = urls.history_url(self._url, path)
        more = True
        while more:
            params = {"limit": str(_AT_ONCE), **query_params(before=before)}
            response = self._transport.send("GET", url, params=params)
            changes, more = parsed(
                response,
                lambda found: (tuple(map(PastChange.parse, found["changes"])), found["more"]),
            )
            yield from changes
            before = changes[-1].cursor if changes else before

    def revert(self, path: str, to: str | None = None) -> Fact:
        """Put an earlier value of a fact again, and return the fact.

        A fact that changed meanwhile is not overwritten.

        :param to: a cursor: put the value that the fact had then.  None for the value before the last
            change, which can have been a deletion.
        :raises NotReverted: there was no fact then, its value is sealed or not known, or it belonged to
            a member.
        :raises PreconditionFailed: the fact was changed meanwhile.
        :raises NotFound: there is neither the fact nor a recent change of it.
        """
        changes = self.history(path)
        last = next(changes)
        wanted = self._earlier(path, last, changes, to)
        if wanted.sensitive:
            raise NotReverted(f"The value of {path} is sealed, so its history does not contain it.")
        if wanted.member is not None:
            raise NotReverted(f"{path} belonged to the member {wanted.member}, which must put it.")
        put = partial(self.put, path, wanted.value, kind=wanted.kind, ttl=wanted.ttl)
        return put(if_absent=True) if last.fact is None else put(if_match=last.fact.etag)

    def _earlier(
        self, path: str, last: PastChange, older: Iterator[PastChange], to: str | None
    ) -> Fact:
        if to is None:
            if last.fact is not None and last.fact.version == 1:
                raise NotReverted(_ABSENT.format(path))
            found = next(older, None) if last.is_known else last
        else:
            epoch, at = _position(to)
            if epoch != _position(last.cursor)[0]:
                raise NotReverted(f"{to} is a cursor of another store; history returns cursors.")
            changes = (each for every in ((last,), older) for each in every)
            found = next((each for each in changes if _position(each.cursor)[1] <= at), None)
        if found is None:
            raise NotReverted(
                f"The history of {path} begins later: its earlier value is not known."
            )
        if not found.is_known:
            known = next((each.cursor for each in older if each.fact is not None), None)
            raise NotReverted(
                f"The value that {path} had then was not kept; values with a ttl or a member are not. "
                f"The last known value before it is that of {known}."
            )
        if found.fact is None:
            raise NotReverted(_ABSENT.format(path))
        return found.fact


_ABSENT = "{} did not exist then. To get this state back, delete it."


def _position(cursor: str) -> tuple[str, int]:
    """Return the epoch of the store and the revision; only cursors of one epoch are comparable."""
    epoch, _, revision = cursor.rpartition(".")
    try:
        return epoch, int(revision)
    except ValueError:
        raise NotReverted(f"{cursor!r} is not a cursor; history returns cursors.") from None
