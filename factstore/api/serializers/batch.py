"""Batches as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Literal

from factstore.api.raw_json import json_object, object_texts
from factstore.api.serializers.facts import revealed_fact_texts
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Fact
from factstore.core.model.fact_result import FactResult
from factstore.core.model.quota import Quota
from factstore.core.model.value import encode
from factstore.core.operations.batch_plans import Preview
from factstore.core.services.written_facts import WrittenFacts
from factstore.core.state.forecast import AlarmForecast, WaiterForecast

PreviewPart = Literal["wakes", "waiters", "alarms", "quota"]
"""A part of a dry run's answer that not every caller may see; it is null for others."""

LISTED = 100
"""The maximum number of members that are listed."""

_quoted = json.encoder.encode_basestring


def batch_text(written: WrittenFacts) -> str:
    """Return the outcome of a batch as JSON."""
    results = []
    # The texts are not kept with the facts: few that are written are read from this worker.
    epoch = written.epoch
    texts = revealed_fact_texts([result.fact for result in written.results], epoch)
    for result, text in zip(written.results, texts, strict=True):
        count = "" if result.deleted is None else f'"deleted":{result.deleted},'
        path = _quoted(result.path)
        results.append(f'{{{count}"outcome":"{result.outcome}","path":{path},"fact":{text}}}')
    return f'{{"cursor":"{epoch}.{written.revision}","results":[{",".join(results)}]}}'


def preview_texts(
    preview: Preview, cursor: Cursor, quota: Quota, shown: Collection[PreviewPart]
) -> Iterator[str]:
    """Yield what a batch would do as JSON.

    :param cursor: of the state that was read.
    """
    found = preview.forecast
    woken = [member.name for member in found.woken]
    project, stack = preview.project, preview.stack
    usage = {
        "stacks": (project.stacks, quota.stacks),
        "facts": (project.facts, quota.facts),
        "bytes": (project.bytes, quota.bytes),
        "facts_per_stack": (stack.facts, quota.facts_per_stack),
        "bytes_per_stack": (stack.bytes, quota.bytes_per_stack),
    }
    parts: dict[PreviewPart, object] = {
        "wakes": {"count": len(woken), "members": woken[:LISTED]},
        "waiters": [_waiter(each) for each in found.waiters],
        "alarms": [_alarm(each) for each in found.alarms],
        "quota": {name: {"used": used, "limit": limit} for name, (used, limit) in usage.items()},
    }
    fields: dict[str, object] = {"dry_run": True, "cursor": str(cursor), "plan": str(preview.plan)}
    fields |= {name: part if name in shown else None for name, part in parts.items()}
    results = ",".join(
        [
            _planned_text(result, former, cursor.epoch)
            for result, former in zip(preview.results, preview.former, strict=True)
        ]
    )
    return object_texts(fields, {"results": ["[", results, "]"]})


def _planned_text(result: FactResult, former: Fact | None, epoch: str) -> str:
    fields: dict[str, object] = {"path": result.path, "outcome": result.outcome, "former": None}
    if former is not None:
        fields["former"] = {
            "etag": former.etag(epoch),
            "revision": former.revision,
            "version": former.version,
            "updated_at": former.updated_at,
            "updated_by": former.updated_by,
        }
    if result.deleted is not None:
        fields["deleted"] = result.deleted
    fact = result.fact
    if fact is None:
        return encode({**fields, "fact": None})
    planned = {
        "path": fact.path,
        "kind": fact.kind,
        "version": fact.version,
        "ttl": fact.ttl,
        "member": fact.member,
        "sensitive": fact.sensitive,
        "readers": fact.readers,
    }
    return json_object(fields, {"fact": json_object(planned, {"value": fact.text})})


def _waiter(each: WaiterForecast) -> dict[str, object]:
    progress = each.progress
    return {
        "name": each.waiter.name,
        "revision": each.waiter.revision,
        "state": each.waiter.state,
        "becomes": each.state,
        "reason": each.reason,
        "satisfied": progress.satisfied,
        "needed": progress.needed,
        "missing": progress.missing,
        "failing": progress.failing,
    }


def _alarm(each: AlarmForecast) -> dict[str, object]:
    return {
        "name": each.alarm.name,
        "revision": each.alarm.revision,
        "state": each.alarm.state,
        "becomes": each.state,
        "step": each.step,
        "value": each.reading.value,
        "reason": each.reading.reason,
    }
