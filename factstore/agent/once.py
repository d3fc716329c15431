"""A single run of the agent, for cron."""

from __future__ import annotations

import logging

from factstore.agent.agent import Agent
from factstore.agent.apply.errors import ApplyError
from factstore.agent.errors import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, RETRYABLE, describe
from factstore.agent.session.membership import HEARTBEATS_PER_TTL
from factstore.client import Context
from factstore.client.errors import Unauthorized
from factstore.client.transport import LONGEST_WAIT

LOG = logging.getLogger(__name__)

REJOIN_POLL_SECONDS = 3.0
"""The pause between two looks whether members have joined again."""


def run_once(agent: Agent) -> int:
    """Publish changed facts, apply the context and report that; return the exit status.

    Without the service, the stored context is applied.  The member lives on for its ttl, which must be
    longer than the time until the next run.

    :raises AgentError: the agent cannot continue.
    """
    agent.collect()
    status = EXIT_OK
    context: Context | None
    try:
        try:
            context = _join(agent)
        except Unauthorized:
            if not agent.discard_rejected_grant():
                raise
            context = _join(agent)
    except RETRYABLE as error:
        LOG.warning("the service cannot be used: %s", describe(error))
        context, status = agent.reconciler.load_context(), EXIT_UNAVAILABLE
        if context is None:
            return status
        LOG.warning("continuing with the stored context %s", context.cursor)
    try:
        while not agent.apply(context, settle=False):  # the next run may be far away
            _wait_for_turn(agent)
    except ApplyError as error:
        LOG.error("%s", error)
        status = EXIT_FAILED
    except RETRYABLE as error:
        LOG.error("the context cannot be applied now: %s", describe(error))
        agent.end_turn()
        status = EXIT_UNAVAILABLE
    if status == EXIT_UNAVAILABLE:
        return status
    try:
        agent.publish()
        agent.send_heartbeat()
    except RETRYABLE as error:
        LOG.error("the result cannot be published: %s", describe(error))
        return EXIT_UNAVAILABLE
    return status


def _join(agent: Agent) -> Context:
    agent.renew_grant()
    agent.join()
    context = agent.newest_context(agent.reconciler.load_context())
    while pause := agent.rejoin_pause(context):
        agent.clock.sleep(min(pause, REJOIN_POLL_SECONDS))
        agent.keep_alive()
        agent.publish()
        context = agent.newest_context(context)
    return context


def _wait_for_turn(agent: Agent) -> None:
    """Wait until the turn is held, and send heartbeats meanwhile."""
    assert agent.turn is not None  # noqa: S101 - else it is not waited for
    interval = agent.settings.agent.ttl / HEARTBEATS_PER_TTL
    while (pause := agent.turn.poll(min(interval, LONGEST_WAIT))) is not None:
        agent.send_heartbeat()
        agent.clock.sleep(pause)
