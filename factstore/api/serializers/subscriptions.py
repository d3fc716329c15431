"""Subscriptions and their deliveries as JSON."""

from __future__ import annotations

from factstore.core.model.value import encode
from factstore.core.services.subscriptions import SubscriptionView

_SHOWN = (
    *("id", "name", "target", "stacks", "types", "prefixes", "groups", "alarms", "max_events"),
    *("max_delay", "state", "reason", "created_at", "created_by", "updated_at", "updated_by"),
)


def subscription_text(view: SubscriptionView) -> str:
    """Return a subscription and its progress as JSON, without its secrets."""
    return encode(_document(view))


def subscription_with_secret_text(view: SubscriptionView, secret: str | None) -> str:
    """Return a subscription as JSON, with its new secret."""
    return encode({**_document(view), "secret": secret})


def _document(view: SubscriptionView) -> dict[str, object]:
    found, progress = view.subscription, view.delivery
    return {
        **{name: getattr(found, name) for name in _SHOWN},
        "rotated_at": found.rotated_at,
        "former_secret_until": found.former_until,
        "delivery": {
            "cursor": view.cursor,
            "delivered": progress.delivered if progress else 0,
            "failed": progress.failed if progress else 0,
            "attempts": progress.attempts if progress else 0,
            "failing_since": progress.failing_since if progress else None,
            "next_attempt_at": progress.next_attempt_at if progress else None,
            "last_error": progress.last_error if progress else None,
            "tests_pending": view.tests_pending,
        },
    }
