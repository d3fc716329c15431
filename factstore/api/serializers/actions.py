"""Actions as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from factstore.api.raw_json import array_texts, object_texts
from factstore.core.model.action import Action
from factstore.core.model.value import encode
from factstore.core.state.action_view import ActionView, MemberRun, Run


def _definition(action: Action) -> dict[str, Any]:
    definition: dict[str, Any] = json.loads(action.definition)
    return definition


def _summary(view: ActionView) -> dict[str, Any]:
    action = view.action
    return {
        "id": action.id,
        "hook": _definition(action)["hook"],
        "member": action.member,
        "group": action.group,
        "max_parallel": action.max_parallel,
        "timeout": action.timeout,
        "ttl": action.ttl,
        "state": view.state,
        "counts": view.counts,
        "created_at": action.created_at,
        "created_by": action.created_by,
        "cancelled_at": action.cancelled_at,
    }


def action_text(view: ActionView) -> str:
    """Return an action with the states of its members, but without what they printed."""
    definition = _definition(view.action)
    results = [_result(run) for run in view.runs]
    return encode({**_summary(view), **definition, "results": results})


def actions_texts(views: Iterable[ActionView]) -> Iterator[str]:
    """Yield a list of actions as JSON."""
    texts = ((encode(_summary(view)),) for view in views)
    return object_texts({}, {"actions": array_texts(texts)})


def own_action_text(found: MemberRun) -> str:
    """Return an action as one of its members sees it."""
    action = found.action
    document = {
        "id": action.id,
        "timeout": action.timeout,
        "created_at": action.created_at,
        **_definition(action),
        "results": [_result(found.run)],
    }
    return encode(document)


def member_actions_texts(runs: Iterable[MemberRun]) -> Iterator[str]:
    """Yield the actions that a member is to run as JSON."""
    texts = (
        (
            encode(
                {
                    "id": each.action.id,
                    "hook": _definition(each.action)["hook"],
                    "state": each.run.state,
                    "created_at": each.action.created_at,
                }
            ),
        )
        for each in runs
    )
    return object_texts({}, {"actions": array_texts(texts)})


def _result(run: Run) -> dict[str, Any]:
    stored = run.result
    return {
        "member": run.member,
        "state": run.state,
        "status_code": stored.status_code if stored else None,
        "percent": stored.percent if stored else None,
        "message": stored.message if stored else "",
        "reason": stored.reason if stored else "",
        "started_at": stored.started_at if stored else None,
        "ended_at": stored.ended_at if stored else None,
    }


def action_result_text(found: MemberRun) -> str:
    """Return the result of a member with what its hook printed."""
    stored = found.run.result
    return encode(
        {
            **_result(found.run),
            "stdout": stored.stdout if stored else "",
            "stderr": stored.stderr if stored else "",
            "outputs": json.loads(stored.outputs) if stored else {},
        }
    )


def action_results_texts(runs: Iterable[MemberRun], links: str) -> Iterator[str]:
    """Yield a page of results as JSON."""
    results = array_texts((action_result_text(each),) for each in runs)
    return object_texts({}, {"results": results, "links": (links,)})
