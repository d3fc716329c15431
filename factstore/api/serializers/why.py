"""The causes of a member's last run as JSON."""

from __future__ import annotations

from factstore.core.model.cursor import Cursor
from factstore.core.model.member import Member
from factstore.core.model.value import encode
from factstore.core.services.cause_chain import CauseStep
from factstore.core.services.why import Why


def why_text(found: Why) -> str:
    """Return the cause of a member's last run as JSON."""
    flapping = found.flapping
    return encode(
        {
            "member": found.member.name,
            "group": found.member.group,
            "applied": _cursor(found.applied),
            "target": _cursor(found.target),
            "steps": [_step(each) for each in found.steps],
            "end": {"kind": found.end, "detail": found.detail},
            "flapping": flapping
            and {
                "path": flapping.path,
                "times": flapping.times,
                "paths": flapping.paths,
                "writers": flapping.writers,
            },
            "since": str(found.since),
        }
    )


def _step(step: CauseStep) -> dict[str, object]:
    change = step.change
    record = change and (change.record or change.former)
    member = record if isinstance(record, Member) else None
    written = change and (change.fact or change.record)
    return {
        "cursor": str(step.cursor),
        "type": change and change.type,
        "path": change and change.path,
        "member": member and member.name,
        "by": change and change.by,
        "request_id": change and change.request_id,
        "at": getattr(written, "updated_at", None),
        "writer": step.writer,
        "reason": change and (change.reason or (member and member.reason)),
        "declared": member and member.declared,
        "others": step.others,
        "cause": _cursor(step.cause),
    }


def _cursor(cursor: Cursor | None) -> str | None:
    return None if cursor is None else str(cursor)
