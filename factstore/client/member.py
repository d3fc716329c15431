"""One member of a stack, as who takes part in it uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from factstore.client import urls
from factstore.client.transport import Transport, named, parsed


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member.

    :param state: ``joining``, ``ready``, ``draining``, or in an event ``departed``.
    :param generation: this incarnation of the name.
    :param ttl: seconds of silence after which it is gone; None while it is declared, and nobody has
        joined as it.
    :param declared: what it stands for, in the words of the owner who declared it; None if nobody did.
    :param reason: why it joined, or in an event departed; None if nobody said.
    :param unchanged: of a join: the member stood so already, and nobody was woken.
    """

    name: str
    group: str
    state: str
    generation: str
    attributes: Mapping[str, Any]
    ttl: int | None
    revision: int
    version: int
    joined_at: str
    updated_at: str
    updated_by: str
    declared: str | None = None
    reason: str | None = None
    unchanged: bool = False

    @classmethod
    def parse(cls, document: Mapping[str, Any], *, unchanged: bool = False) -> Self:
        """The member that a document describes; what is not known here is passed over."""
        return cls(
            name=document["name"],
            group=document["group"],
            state=document["state"],
            generation=document["generation"],
            attributes=document["attributes"],
            ttl=document["ttl"],
            revision=document["revision"],
            version=document["version"],
            joined_at=document["joined_at"],
            updated_at=document["updated_at"],
            updated_by=document["updated_by"],
            declared=document.get("declared"),
            reason=document.get("reason"),
            unchanged=unchanged,
        )


class Member:
    """A member's name in a stack, and the incarnation that the caller is.

    Keep :attr:`generation` over restarts: who joins with it is the same member still, and wakes nobody.
    """

    def __init__(
        self, stack_url: str, name: str, transport: Transport, generation: str | None
    ) -> None:
        self.name = name
        self.generation = generation
        self._url = urls.item_url(stack_url, "members", name)
        self._transport = transport

    def join(
        self, group: str, *, ttl: int | None = None, attributes: Mapping[str, Any] | None = None
    ) -> MemberRecord:
        """Take part; with :attr:`generation` as the incarnation that it names, else as a new one.

        :param ttl: seconds of silence after which the member is gone; None for the service's default.
        :raises Conflict: the generation lives no more: forget it and join anew.
        """
        body = _without_none(
            group=group, ttl=ttl, attributes=attributes, generation=self.generation
        )
        record = self._put(body)
        self.generation = record.generation
        return record

    def declare(
        self,
        group: str,
        word: str,
        *,
        reason: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> MemberRecord:
        """Say that the member exists, be it that it has not joined yet; for the stack's owners.

        Until somebody joins as it, silence does not end it.  If it lives, the word is noted.  To say
        so makes nobody its incarnation: :attr:`generation` stays.

        :param word: what it stands for, 1 to 255 printable ASCII characters, such as another system's
            id of it.
        :param reason: why it joins, one word, such as ``scaled_out``.
        :raises Conflict: it is declared as something else.
        """
        body = _without_none(group=group, declared=word, reason=reason, attributes=attributes)
        return self._put(body)

    def _put(self, body: Mapping[str, Any]) -> MemberRecord:
        response = self._transport.send("PUT", self._url, body=body)
        unchanged = response.headers.get("Factstore-Unchanged") == "true"
        return parsed(response, lambda found: MemberRecord.parse(found, unchanged=unchanged))

    def show(self) -> MemberRecord:
        """The member as it is.

        :raises NotFound: there is none of that name, or no more.
        """
        return parsed(self._transport.send("GET", self._url), MemberRecord.parse)

    def ready(self) -> MemberRecord:
        """Say that it is ready.

        :raises NotFound: it is gone; Conflict if it is another's by now.
        """
        return self._set("ready")

    def drain(self) -> MemberRecord:
        """Say that it will depart; see :meth:`ready`."""
        return self._set("draining")

    def heartbeat(self, *, applied: str | None = None) -> None:
        """Say that it lives.

        :param applied: the cursor up to which it has put the stack's facts to use.
        :raises NotFound: it is gone: join anew.
        :raises Conflict: it is gone, or another's by now: forget the generation and join anew.
        :raises Gone: *applied* is of another life of the store.
        """
        body = _without_none(generation=self.generation, applied=applied)
        self._transport.send("POST", f"{self._url}/heartbeat", body=body)

    def depart(self, *, reason: str | None = None, declared: str | None = None) -> None:
        """Go, and all facts with it that are bound to it.

        :param reason: one word, such as ``scaled_in``.
        :param declared: only if it is declared as this; for the stack's owners.
        :raises NotFound: it is gone already; Conflict if it is another's by now, or not declared so.
        """
        params = named(reason=reason) | _without_none(declared=declared)
        headers = {"Factstore-Generation": self.generation} if self.generation else {}
        self._transport.send("DELETE", self._url, params=params, headers=headers)
        self.generation = None

    def _set(self, state: str) -> MemberRecord:
        body = _without_none(state=state, generation=self.generation)
        return parsed(self._transport.send("PATCH", self._url, body=body), MemberRecord.parse)


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
