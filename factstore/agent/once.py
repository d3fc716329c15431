"""One round, for those who have cron start it."""

from __future__ import annotations

import logging

from factstore.agent.agent import Parts
from factstore.agent.apply.reconciler import NotApplied
from factstore.agent.errors import DONE, FAILED, LATER, TROUBLE, told
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
    status = DONE
    context: Context | None
    try:
        try:
            context = _meet(parts)
        except Unauthorized:
            if not parts.refused():
                raise
            context = _meet(parts)
    except TROUBLE as error:
        LOG.warning("the service does not help: %s", told(error))
        context, status = parts.reactor.kept(), LATER
        if context is None:
            return status
        LOG.warning("goes on with the context of an earlier time, at %s", context.cursor)
    try:
        parts.apply(context)
    except NotApplied as error:
        LOG.error("%s", error)
        status = FAILED
    except TROUBLE as error:
        LOG.error("a sealed fact cannot be had: %s", told(error))
        status = LATER
    if status == LATER:
        return status
    try:
        parts.tell()
        parts.beat()
    except TROUBLE as error:
        LOG.error("the service could not be told: %s", told(error))
        return LATER
    return status


def _meet(parts: Parts) -> Context:
    parts.renew()
    parts.join()
    return parts.stack.context(member=parts.settings.agent.member)
