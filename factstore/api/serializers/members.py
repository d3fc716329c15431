"""Members and their convergence as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from factstore.api.raw_json import array_texts, json_object, object_texts
from factstore.core.model.member import Member
from factstore.core.model.read_set import ReadSet
from factstore.core.model.value import encode
from factstore.core.services.convergence import ConvergenceView, MemberConvergence
from factstore.core.services.heartbeats import Heartbeat


def member_text(member: Member) -> str:
    """Return a member as JSON."""
    text = member.memo.get("text")
    if text is None:
        fields = {
            "name": member.name,
            "group": member.group,
            "state": member.state,
            "generation": member.generation,
            "ttl": member.ttl,
            "declared": member.declared,
            "reason": member.reason,
            "revision": member.revision or member.told,
            "version": member.version,
            "joined_at": member.joined_at,
            "updated_at": member.updated_at,
            "updated_by": member.updated_by,
        }
        text = member.memo["text"] = json_object(fields, {"attributes": member.attributes})
    return text


def member_with_read_set_text(member: Member, read_set: ReadSet | None) -> str:
    """Return a member as JSON, with the digest of its read set."""
    digest = encode(read_set.digest if read_set is not None else None)
    return f'{member_text(member)[:-1]},"read_set":{digest}}}'


def heartbeat_text(heartbeat: Heartbeat) -> str:
    """Return a member's last heartbeat as JSON."""
    member = heartbeat.member
    return encode(
        {
            "member": member.name,
            "generation": member.generation,
            "ttl": member.ttl,
            "age": heartbeat.age,
        }
    )


def convergence_texts(convergence: ConvergenceView) -> Iterator[str]:
    """Yield a stack's convergence as JSON."""
    fields = {
        "target": str(convergence.target),
        "converged": convergence.reached,
        "concerned": convergence.concerned,
        "lagging": [each.member.name for each in convergence.members if each.lags],
    }
    members = array_texts((_converging_text(each),) for each in convergence.members)
    return object_texts(fields, {"members": members})


def _converging_text(each: MemberConvergence) -> str:
    return encode(
        {
            "name": each.member.name,
            "group": each.member.group,
            "state": each.member.state,
            "target": str(each.target) if each.target else None,
            "applied": str(each.applied) if each.applied else None,
            "lags": each.lags,
        }
    )
