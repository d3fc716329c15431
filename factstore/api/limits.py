"""Views of limits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask.views import MethodView

from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.schemas import limits as schemas
from factstore.api.services import services
from factstore.core.model.fact import Scope
from factstore.core.ports import Kept
from factstore.policies import limits as rules

blueprint = Blueprint("limits", __name__, description="Quotas and rates.")


@blueprint.route("/v1/limits")
class Limits(MethodView):
    """A project's limits."""

    @blueprint.query(schemas.LimitsQuery)
    @blueprint.error_codes("path_invalid", "not_found")
    @blueprint.response(200, schemas.Limits)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Show a project's limits and usage."""
        current = services()
        own = access().check(rules.GET).project_id
        project_id = query["project_id"] or own
        if project_id != own:
            access().check(rules.GET_ANY, project_id)
        usage = current.stacks.usage(project_id)
        most, kept = current.history.limits, current.history.kept(project_id)
        document = {
            "limits": {
                **asdict(current.quotas(project_id)),
                **asdict(current.allowances(project_id)),
                "history_events": most.events,
                "history_bytes": most.bytes,
            },
            "usage": {
                "stacks": usage.stacks,
                "facts": usage.facts,
                "bytes": usage.bytes,
                "subscriptions": current.subscriptions.count(project_id),
                "streams": current.rate_limiter.open_in("streams", project_id),
                "waiting_requests": current.rate_limiter.open_in("waiting_requests", project_id),
                "history_events": sum(each.events for each in kept.values()),
                "history_bytes": sum(each.bytes for each in kept.values()),
            },
        }
        if query["stack"]:
            scope = Scope(project_id, query["stack"])
            found = kept.get(scope, Kept(0, 0))
            document["stack"] = {
                "name": scope.stack,
                "history_events": found.events,
                "history_bytes": found.bytes,
                "history_since": str(current.history.since(scope)),
            }
        return document
