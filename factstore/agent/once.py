"""One round, for those who have cron start it."""

from __future__ import annotations

import logging

from factstore.agent.agent import Parts
from factstore.agent.apply.reconciler import ApplyError
from factstore.agent.errors import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, RETRYABLE, describe
from factstore.client import Context
from factstore.client.errors import Unauthorized

LOG = logging.getLogger(__name__)


def once(parts: Parts) -> int:
    """Tell what changed, bring the instance in line with its context, and say so; an exit status.

    Without the service it is the context that was kept which is applied.  The member goes on living for
    its ttl: that is to be longer than the time until the next round.

    :raises AgentError: it cannot go on.
    """
    parts.collect()
    status = EXIT_OK
    context: Context | None
    try:
        try:
            context = _meet(parts)
        except Unauthorized:
            if not parts.refused():
                raise
            context = _meet(parts)
    except RETRYABLE as error:
        LOG.warning("the service does not help: %s", describe(error))
        context, status = parts.reconciler.load_context(), EXIT_UNAVAILABLE
        if context is None:
            return status
        LOG.warning("goes on with the context of an earlier time, at %s", context.cursor)
    try:
        parts.apply(context)
    except ApplyError as error:
        LOG.error("%s", error)
        status = EXIT_FAILED
    except RETRYABLE as error:
        LOG.error("a sealed fact cannot be had: %s", describe(error))
        status = EXIT_UNAVAILABLE
    if status == EXIT_UNAVAILABLE:
        return status
    try:
        parts.tell()
        parts.beat()
    except RETRYABLE as error:
        LOG.error("the service could not be told: %s", describe(error))
        return EXIT_UNAVAILABLE
    return status


def _meet(parts: Parts) -> Context:
    parts.renew()
    parts.join()
    return parts.stack.context(member=parts.settings.agent.member)
