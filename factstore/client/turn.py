"""The turns of a stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from factstore.client import urls
from factstore.client.conditional import read_unless_known
from factstore.client.errors import NotFound
from factstore.client.transport import Transport, parsed

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class TurnRecord:
    """A turn.

    :param holds: True if the turn is held, False if it waits.
    :param position: 1 for the first turn of the queue.
    :param rank: the number of the member in the queue, from 0; None if none was requested.
    :param revision: grows from turn to turn in a queue, so it can be used as a fencing token.  It can
        be lower after etcd was wiped or restored from a backup.
    :param etag: empty in the response to a request for the turn, and in lists.
    """

    queue: str
    member: str
    holds: bool
    position: int
    max_parallel: int
    rank: int | None
    revision: int
    created_at: str
    etag: str = ""

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str = "") -> Self:
        """Return the turn in a document.  Unknown fields are ignored."""
        return cls(
            queue=document["queue"],
            member=document["member"],
            holds=document["state"] == "holding",
            position=document["position"],
            max_parallel=document["max_parallel"],
            rank=document["rank"],
            revision=document["revision"],
            created_at=document["created_at"],
            etag=etag,
        )


class Turn:
    """Operations on the turn of one member in one queue."""

    def __init__(
        self,
        stack_url: str,
        queue: str,
        member: str,
        transport: Transport,
        generation: str | None,
    ) -> None:
        self._url = urls.item_url(stack_url, "turns", queue, member)
        self._transport = transport
        self._generation = generation

    def take(self, *, max_parallel: int = 1, rank: bool = False, wait: float = 0) -> TurnRecord:
        """Take a turn at the end of the queue, and return it.  Repeat the call to continue waiting.

        If the member has a turn in the queue already, that turn is kept as it is.

        :param max_parallel: the turn is held while fewer turns than this are ahead of it.
        :param rank: also assign the lowest number that no other member of the queue has.
        :param wait: seconds, 0 to 50, for which the request waits until the turn is held.
        :raises NotFound: the member does not exist, or its turn ended meanwhile.
        :raises Conflict: the incarnation is no longer live, the member has not joined, or it has a turn
            without a rank.
        """
        body: dict[str, Any] = {"max_parallel": max_parallel, "rank": rank}
        if self._generation is not None:
            body["generation"] = self._generation
        response = self._transport.send("PUT", self._url, body=body, wait=wait)
        return parsed(response, TurnRecord.parse)

    def show(self, *, if_none_match: str | None = None, wait: float = 0) -> TurnRecord | None:
        """Return the turn.

        :param if_none_match: the etag that the caller already knows.
        :param wait: seconds, 0 to 50, for which the request waits until the etag differs.
        :return: the turn; None if it still has the etag *if_none_match*.
        :raises NotFound: the member has no turn in the queue, or no longer.
        """
        return read_unless_known(
            self._transport, self._url, if_none_match, TurnRecord.parse, wait=wait
        )

    def give_back(self) -> None:
        """End the turn, and free its rank.  It may already have ended.

        :raises Conflict: the turn is that of another incarnation.
        """
        headers = {} if self._generation is None else {"Factstore-Generation": self._generation}
        try:
            self._transport.send("DELETE", self._url, headers=headers)
        except NotFound:
            return
