"""The members of a stack."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from factstore.client import urls
from factstore.client.query import query_params
from factstore.client.transport import Transport, parsed
from factstore.client.why import Why

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class MemberRecord:
    """A member.

    :param state: ``joining``, ``ready``, ``draining``, or in an event ``departed``.
    :param generation: identifies this incarnation of the name.
    :param ttl: seconds without a heartbeat after which the member expires; None while it is declared
        and has not joined.
    :param declared: the identifier with which its owner declared it; None if it was not declared.
    :param reason: why it joined or, in an event, departed; None if no reason was given.
    :param read_set: the digest of its read set, if it was shown and has one.
    :param unchanged: True if a join changed nothing and notified no watcher.
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
    read_set: str | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], *, unchanged: bool = False) -> Self:
        """Return the member in a document.  Unknown fields are ignored."""
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
            read_set=document.get("read_set"),
            unchanged=unchanged,
        )


class Member:
    """Operations on one member, and the incarnation that the caller acts as.

    Keep :attr:`generation` across restarts: a join with it continues the same incarnation and wakes no
    watcher.
    """

    def __init__(
        self, stack_url: str, name: str, transport: Transport, generation: str | None
    ) -> None:
        self.name = name
        self.generation = generation
        self._url = urls.item_url(stack_url, "members", name)
        self._transport = transport
        # The body and the idempotency key of a join whose outcome is not known yet.
        self._join: tuple[Mapping[str, Any], str] | None = None

    def join(
        self, group: str, *, ttl: int | None = None, attributes: Mapping[str, Any] | None = None
    ) -> MemberRecord:
        """Join the stack, and return the member.

        With :attr:`generation`, the join continues that incarnation; otherwise it starts a new one.  If
        the response to a join is lost, the join is repeated as the same incarnation, by this call and
        by the next one with the same arguments.

        :param ttl: seconds without a heartbeat after which the member expires; None for the service's
            default.
        :raises Conflict: the generation is no longer live; reset it and join again.
        """
        body = _without_none(
            group=group, ttl=ttl, attributes=attributes, generation=self.generation
        )
        if self._join is None or self._join[0] != body:
            self._join = body, str(uuid.uuid4())
        record = self._put(body, {"Idempotency-Key": self._join[1]})
        self.generation, self._join = record.generation, None
        return record

    def declare(
        self,
        group: str,
        declared: str,
        *,
        reason: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> MemberRecord:
        """Declare a member that may not have joined yet, and return it; for the stack's owners.

        A declared member does not expire until an agent has joined under its name.  If the member is
        live, only *declared* is recorded.  :attr:`generation` does not change.

        :param declared: identifies what the member stands for, such as its id in another system; 1 to
            255 printable ASCII characters.
        :param reason: why the member joins, one word, such as ``scaled_out``.
        :raises Conflict: the member is declared with another identifier.
        """
        body = _without_none(group=group, declared=declared, reason=reason, attributes=attributes)
        return self._put(body)

    def _put(
        self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> MemberRecord:
        response = self._transport.send("PUT", self._url, headers=headers, body=body)
        unchanged = response.headers.get("Factstore-Unchanged") == "true"
        return parsed(response, lambda found: MemberRecord.parse(found, unchanged=unchanged))

    def show(self) -> MemberRecord:
        """Return the member.

        :raises NotFound: the member does not exist, or has departed or expired.
        """
        return parsed(self._transport.send("GET", self._url), MemberRecord.parse)

    def ready(self) -> MemberRecord:
        """Mark the member as ready, and return it.

        :raises NotFound: the member has departed or expired.
        :raises Conflict: a newer incarnation has replaced the caller's.
        """
        return self._set("ready")

    def drain(self) -> MemberRecord:
        """Mark the member as draining; see :meth:`ready`."""
        return self._set("draining")

    def heartbeat(self, *, applied: str | None = None) -> None:
        """Send a heartbeat.

        :param applied: the cursor up to which the member has applied the stack.
        :raises NotFound: the member has departed or expired; join again.
        :raises Conflict: the incarnation is no longer live; reset the generation and join again.
        :raises Gone: *applied* is from another epoch of the store.
        """
        body = _without_none(generation=self.generation, applied=applied)
        self._transport.send("POST", f"{self._url}/heartbeat", body=body)

    def heartbeat_age(self) -> int | None:
        """Return the seconds since the member's last heartbeat, or since it joined.

        :return: None if the member is declared and has not joined, or is about to expire.
        :raises NotFound: the member does not exist, or has departed or expired.
        """
        response = self._transport.send("GET", f"{self._url}/heartbeat")
        return parsed(response, lambda found: None if found["age"] is None else int(found["age"]))

    def store_read_set(
        self,
        facts: Collection[str] = (),
        *,
        members: Collection[str] = (),
        groups: Collection[str] = (),
    ) -> str:
        """Store the read set of the member, and return its digest; see :meth:`Mirror.update`.

        Only changes of what it names concern the member.  A new incarnation starts without one.

        :param facts: patterns: paths of facts or folders, with ``*`` for any one segment; with ``/`` at
            the end only the facts below that are created or deleted.
        :param members: names of members; ``*`` for all members, ``*/`` for all but their states.
        :param groups: groups of which all members are read; with ``/`` at the end, all but the states.
        :raises NotFound: the member has departed or expired.
        :raises Conflict: a newer incarnation has replaced the caller's.
        """
        body = _without_none(
            facts=sorted(facts),
            members=sorted(members),
            groups=sorted(groups),
            generation=self.generation,
        )
        response = self._transport.send("PUT", f"{self._url}/read_set", body=body)
        return parsed(response, lambda found: str(found["digest"]))

    def read_set(self) -> dict[str, Any]:
        """Return the read set of the member: ``digest``, ``facts``, ``members``, ``groups``...

        :raises NotFound: the member has none, or has departed or expired.
        """
        return parsed(self._transport.send("GET", f"{self._url}/read_set"), dict)

    def delete_read_set(self) -> None:
        """Delete the read set of the member, so that every change concerns it.

        :raises NotFound: the member has none, or has departed or expired.
        """
        headers = {"Factstore-Generation": self.generation} if self.generation else {}
        self._transport.send("DELETE", f"{self._url}/read_set", headers=headers)

    def why(self) -> Why:
        """Return which change made the member run last, and what that change followed from.

        :raises NotFound: the member does not exist, or has departed or expired.
        """
        return parsed(self._transport.send("GET", f"{self._url}/why"), Why.parse)

    def depart(self, *, reason: str | None = None, declared: str | None = None) -> None:
        """Remove the member from the stack, and delete the facts bound to it.

        :param reason: one word, such as ``scaled_in``.
        :param declared: depart only if the member is declared with this identifier; for the stack's
            owners.
        :raises NotFound: the member does not exist.
        :raises Conflict: a newer incarnation has replaced it, or *declared* does not match.
        """
        params = query_params(reason=reason) | _without_none(declared=declared)
        headers = {"Factstore-Generation": self.generation} if self.generation else {}
        self._transport.send("DELETE", self._url, params=params, headers=headers)
        self.generation = None

    def _set(self, state: str) -> MemberRecord:
        body = _without_none(state=state, generation=self.generation)
        return parsed(self._transport.send("PATCH", self._url, body=body), MemberRecord.parse)


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
