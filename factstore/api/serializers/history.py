"""The past of facts, and of a stack, as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from factstore.api.raw_json import array_texts, json_object, object_texts
from factstore.api.serializers.facts import fact_text
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.services.context_document import member_text
from factstore.core.services.history import PastChange
from factstore.core.services.past import Difference, Differences


def past_change_text(past: PastChange) -> str:
    """Return a change of a fact with its cursor as JSON."""
    change = past.change
    fields = {
        "cursor": str(past.cursor),
        "type": change.type,
        "by": change.by,
        "request_id": change.request_id,
    }
    return json_object(fields, {"fact": _fact_text(change.fact, past.cursor.epoch)})


def differences_texts(found: Differences) -> Iterator[str]:
    """Yield what differs between two cursors as JSON."""
    epoch = found.since.epoch
    facts = array_texts((_fact_difference(each, epoch),) for each in found.facts)
    members = array_texts((_member_difference(each),) for each in found.members)
    cursors = {"since": str(found.since), "until": str(found.until)}
    return object_texts(cursors, {"facts": facts, "members": members})


def _fact_difference(each: Difference[Fact], epoch: str) -> str:
    texts = {"before": _fact_text(each.before, epoch), "after": _fact_text(each.after, epoch)}
    return json_object({"path": each.name}, texts)


def _member_difference(each: Difference[Member]) -> str:
    before, after = (
        member_text(member) if member else "null" for member in (each.before, each.after)
    )
    return json_object({"name": each.name}, {"before": before, "after": after})


def _fact_text(fact: Fact | None, epoch: str) -> str:
    return fact_text(fact, epoch) if fact is not None else "null"
