"""Views of subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional, paging
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, WRITE
from factstore.api.raw_json import array_texts, object_texts
from factstore.api.responses import (
    conditional_response,
    deleted,
    json_response,
    page_response,
    set_etag,
    set_location,
    set_written,
    texts_response,
)
from factstore.api.schemas import subscriptions as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.subscriptions import (
    subscription_text,
    subscription_with_secret_text,
)
from factstore.api.services import services
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author
from factstore.core.model.subscription_request import SubscriptionChanges, SubscriptionRequest
from factstore.core.operations.subscriptions import WithSecret
from factstore.core.services.subscriptions import SubscriptionView
from factstore.policies import subscriptions as rules

blueprint = Blueprint(
    "subscriptions", __name__, description="Registered listeners to which events are delivered."
)

_ITEM = ("path_invalid", "not_found")


@blueprint.route("/v1/subscriptions")
class SubscriptionList(MethodView):
    """All subscriptions of a project."""

    @blueprint.query(schemas.SubscriptionsQuery)
    @blueprint.error_codes(*PAGED)
    @blueprint.response(200, schemas.SubscriptionPage)
    def get(self, query: dict[str, Any]) -> Response:
        """List the subscriptions of a project by id, without their secrets."""
        own = access().check(rules.LIST).project_id
        project_id = query["project_id"] or own
        if project_id != own:
            access().check(rules.LIST_ANY, project_id)
        page = services().subscriptions.list(
            project_id, limit=query["limit"], marker=query["marker"], at=paging.cursor(query)
        )
        return page_response("subscriptions", page, subscription_text)

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.SubscriptionBody)
    @blueprint.request_headers("idempotency_key")
    @blueprint.error_codes(
        *("path_invalid", "target_invalid", "quota_exceeded", "seal_broken", "not_found"),
        "idempotency_key_reused",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(201, schemas.SubscriptionWithSecret, headers=("ETag", "Factstore-Cursor"))
    def post(self, query: dict[str, Any], body: dict[str, Any]) -> Response:
        """Create a subscription; only this response has its secret."""
        caller = access()
        identity = caller.check(rules.CREATE)
        wanted = SubscriptionRequest.of(rules=services().subscriptions.rules, **body)
        made, cursor = services().subscriptions.create(
            identity.project_id, wanted, caller.author(), conditional.idempotency(identity)
        )
        response = _with_secret(made, cursor.epoch)
        set_location(response, "subscriptions", made.subscription.id)
        return set_written(response, cursor)


@blueprint.route("/v1/subscriptions/<subscription>")
class SubscriptionItem(MethodView):
    """One subscription."""

    @blueprint.query(schemas.SubscriptionQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes("etag_invalid", *_ITEM)
    @blueprint.response(200, schemas.Subscription, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], subscription: str) -> Response:
        """Show a subscription and its progress, without its secrets."""
        project_id = access().check(rules.GET).project_id
        known, stale = conditional.known_tags(), query["consistency"] == "stale"
        found = services().subscriptions.get(project_id, subscription, stale=stale)
        return conditional_response(lambda: (subscription_text(found),), found.etag, known)

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.SubscriptionPatch)
    @blueprint.request_headers("if_match")
    @blueprint.error_codes(
        *("etag_invalid", "precondition_failed", "subscription_pending", *_ITEM),
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(200, schemas.Subscription, headers=("ETag",))
    def patch(self, query: dict[str, Any], body: dict[str, Any], subscription: str) -> Response:
        """Change what a subscription delivers, pause it, or resume it."""
        project_id = access().check(rules.UPDATE).project_id
        precondition, author = conditional.record_precondition(), access().author()
        changes = SubscriptionChanges.of(**body)
        return _response(
            services().subscriptions.change(project_id, subscription, changes, author, precondition)
        )

    @blueprint.query(NoQuery)
    @blueprint.request_headers("if_match")
    @blueprint.error_codes(
        "etag_invalid", "precondition_failed", "deletion_unfinished", *_ITEM, *WRITE
    )
    @blueprint.response(204)
    def delete(self, query: dict[str, Any], subscription: str) -> Response:
        """Delete a subscription; nothing is delivered after the response."""
        project_id = access().check(rules.DELETE).project_id
        precondition = conditional.record_precondition()
        author = access().author()
        services().subscriptions.delete(project_id, subscription, author, precondition)
        return deleted()


@blueprint.route("/v1/subscriptions/<subscription>/confirm")
class SubscriptionConfirmation(MethodView):
    """The confirmation of a subscription."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.ConfirmBody)
    @blueprint.error_codes("challenge_wrong", "seal_broken", *_ITEM, *JSON_BODY, *WRITE)
    @blueprint.response(200, schemas.Subscription, headers=("ETag",))
    def post(self, query: dict[str, Any], body: dict[str, Any], subscription: str) -> Response:
        """Confirm a subscription with the challenge that its target received."""
        confirm, challenge = services().subscriptions.confirm, body["challenge"]
        return _changed(
            rules.CONFIRM,
            lambda project_id, author: confirm(project_id, subscription, challenge, author),
        )


@blueprint.route("/v1/subscriptions/<subscription>/test")
class SubscriptionTest(MethodView):
    """Test messages of a subscription."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.TestBody, required=False)
    @blueprint.error_codes("subscription_pending", *_ITEM, *JSON_BODY, *WRITE)
    @blueprint.response(202, schemas.Subscription, headers=("ETag",))
    def post(self, query: dict[str, Any], body: dict[str, Any], subscription: str) -> Response:
        """Request a test message, whose result is among the deliveries."""
        test = services().subscriptions.test
        response = _changed(
            rules.TEST, lambda project_id, author: test(project_id, subscription, author)
        )
        response.status_code = 202
        return response


@blueprint.route("/v1/subscriptions/<subscription>/replay")
class SubscriptionReplay(MethodView):
    """Delivering earlier events again."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.ReplayBody)
    @blueprint.error_codes("cursor_invalid", "cursor_expired", *_ITEM, *JSON_BODY, *WRITE)
    @blueprint.response(200, schemas.Subscription, headers=("ETag",))
    def post(self, query: dict[str, Any], body: dict[str, Any], subscription: str) -> Response:
        """Continue the delivery after a cursor, which may be an earlier one."""
        replay, since = services().subscriptions.replay, Cursor.parse(body["since"])
        return _changed(
            rules.REPLAY,
            lambda project_id, author: replay(project_id, subscription, since, author),
        )


@blueprint.route("/v1/subscriptions/<subscription>/rotate")
class SubscriptionRotation(MethodView):
    """Replacing the secret of a subscription."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.RotateBody, required=False)
    @blueprint.request_headers("idempotency_key")
    @blueprint.error_codes("idempotency_key_reused", "seal_broken", *_ITEM, *JSON_BODY, *WRITE)
    @blueprint.response(200, schemas.SubscriptionWithSecret, headers=("ETag",))
    def post(self, query: dict[str, Any], body: dict[str, Any], subscription: str) -> Response:
        """Replace the secret; only this response has the new one."""
        caller = access()
        identity = caller.check(rules.ROTATE)
        made, cursor = services().subscriptions.rotate(
            identity.project_id,
            subscription,
            body["overlap"],
            caller.author(),
            conditional.idempotency(identity),
        )
        return _with_secret(made, cursor.epoch)


@blueprint.route("/v1/subscriptions/<subscription>/deliveries")
class SubscriptionDeliveries(MethodView):
    """The last deliveries of a subscription."""

    @blueprint.query(schemas.SubscriptionQuery)
    @blueprint.error_codes(*_ITEM)
    @blueprint.response(200, schemas.Deliveries)
    def get(self, query: dict[str, Any], subscription: str) -> Response:
        """List the last deliveries, the newest first."""
        project_id = access().check(rules.DELIVERIES).project_id
        stale = query["consistency"] == "stale"
        found = services().subscriptions.get(project_id, subscription, stale=stale).delivery
        log = found.log if found else ()
        items = [(delivery,) for delivery in log]
        return texts_response(lambda: object_texts({}, {"deliveries": array_texts(items)}))


def _changed(rule: str, change: Callable[[str, Author], SubscriptionView]) -> Response:
    """Return the response with a subscription as a change of the caller left it.

    :param change: gets the project and the author.
    """
    caller = access()
    project_id = caller.check(rule).project_id
    return _response(change(project_id, caller.author()))


def _response(view: SubscriptionView) -> Response:
    return set_etag(json_response(subscription_text(view)), view.etag)


def _with_secret(made: WithSecret, epoch: str) -> Response:
    view = SubscriptionView(made.subscription, None, epoch)
    response = json_response(subscription_with_secret_text(view, made.secret))
    response.headers["Cache-Control"] = "no-store"
    return set_etag(response, view.etag)
